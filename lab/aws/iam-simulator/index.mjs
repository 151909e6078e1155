// Reads one question a line, {"id", "simulation"}, and answers with one line, {"id", "decision"} or {"id", "error"}.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

async function answer ({ id, simulation }) {
  const outcome = await runSimulation(simulation, {})
  if (outcome.resultType === 'error') return { id, error: JSON.stringify(outcome.errors) }
  return { id, decision: outcome.overallResult }
}

// One after the other: each question waits for its answer, and they are few.
for await (const line of createInterface({ input: process.stdin })) {
  const question = JSON.parse(line)
  let reply
  try {
    reply = await answer(question)
  } catch (error) {
    reply = { id: question.id, error: String(error?.stack ?? error) }
  }
  process.stdout.write(JSON.stringify(reply) + '\n')
}
