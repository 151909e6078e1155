import tseslint from "typescript-eslint";

export default tseslint.config(
  { ignores: ["dist/", "public/", "build/", "eslint.config.js"] },
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: { project: ["./tsconfig.json", "./tsconfig.web.json"], tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_" }],
      // node:test itself waits for what these return.
      "@typescript-eslint/no-floating-promises": ["error", {
        allowForKnownSafeCalls: [{ from: "package", package: "node:test", name: ["test", "describe"] }],
      }],
      "@typescript-eslint/switch-exhaustiveness-check": "error",
      "max-len": ["error", { code: 130 }],
    },
  },
  { files: ["test/**"], rules: { "max-len": ["error", { code: 120 }] } },
);
