/** Tells the benchmark which ports this control listens on. */
export function ready(ports: Record<string, number>): void {
  console.log(JSON.stringify(ports));
}
