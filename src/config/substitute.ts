export type Environment = Record<string, string | undefined>;

const REFERENCE = /\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}|\$\{[^}]*\}?/g;

/**
 * Replaces `${NAME}` by the variable's value and `${NAME:-default}` by the default where the variable is unset or empty, as
 * a shell does; `$${` stands for a plain `${`. Calls `onProblem` with the reference and what was expected instead.
 */
export function substitute(
  text: string,
  environment: Environment,
  onProblem: (found: string, expected: string) => void,
): string {
  return text.replace(REFERENCE, (reference: string, name?: string, fallback?: string) => {
    if (reference === "$${") return "${";
    if (name === undefined) {
      // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation itself is meant
      onProblem(JSON.stringify(reference), "${NAME} or ${NAME:-default} ($${ for a plain ${)");
      return "";
    }
    const value = environment[name];
    if (fallback !== undefined) return value || fallback;
    if (value === undefined) {
      onProblem(reference, `the environment variable ${name} to be set, or a default as in \${${name}:-default}`);
    }
    return value ?? "";
  });
}
