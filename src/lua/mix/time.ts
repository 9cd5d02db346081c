import { numberArgument } from "../arguments.ts";
import type { LuaState } from "../state.ts";
import { wait } from "../wait.ts";

/** setTimeout counts milliseconds in 31 bits; more would fire at once. */
const LONGEST_SLEEP = 2 ** 31 / 1000 - 1;

/** `mix.time()`: seconds since 1970 with milliseconds as the fraction. `mix.sleep(seconds)`: suspends only the running callback. */
export function installTime(L: LuaState): void {
  L.pushFunction((state) => {
    state.pushNumber(Date.now() / 1000);
    return 1;
  });
  L.setField(-2, "time");
  L.pushFunction(sleep);
  L.setField(-2, "sleep");
}

function sleep(L: LuaState): number {
  const seconds = numberArgument(L, 1);
  if (!(seconds >= 0 && seconds <= LONGEST_SLEEP)) {
    L.argError(1, `seconds from 0 to ${Math.floor(LONGEST_SLEEP)} expected, got ${seconds}`);
  }
  return wait(L, (done) => {
    const timer = setTimeout(() => done(nothing), seconds * 1000);
    return () => clearTimeout(timer);
  });
}

const nothing = () => 0;
