// Reads one question a line, {"id", "simulation"}, and answers with one line, {"id", "decision"} or {"id", "error"}.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

async function answer ({ id, simulation }) {
  const outcome = await runSimulation(simulation, {})
  if (outcome.resultType === 'error') return { id, error: JSON.stringify(outcome.errors) }
  return { id, decision: outcome.overallResult }
}

// In order: the asker waits for its own answer, and questions are few.
for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line)
  let said
  try {
    said = await answer(question)
  } catch (error) {
    said = { id: question.id, error: String(error?.stack ?? error) }
  }
  process.stdout.write(JSON.stringify(said) + '\n')
}
