import { bytesArgument } from "../arguments.ts";
import type { HostFunction, LuaState } from "../state.ts";

/** `mix.md5`, `mix.sha1`, `mix.sha256` in hexadecimal, `…_bin` as bytes; `mix.hmac_sha256(key, data)` the same two ways. */
export function installDigest(L: LuaState): void {
  for (const algorithm of ["md5", "sha1", "sha256"] as const) {
    install(L, algorithm, (state) => new Bun.CryptoHasher(algorithm).update(bytesArgument(state, 1)));
  }
  install(L, "hmac_sha256", (state) => {
    const key = bytesArgument(state, 1);
    return new Bun.CryptoHasher("sha256", key).update(bytesArgument(state, 2));
  });
}

function install(L: LuaState, name: string, hasher: (L: LuaState) => Bun.CryptoHasher): void {
  const hex: HostFunction = (state) => {
    state.pushText(hasher(state).digest("hex"));
    return 1;
  };
  const binary: HostFunction = (state) => {
    state.pushBytes(hasher(state).digest());
    return 1;
  };
  L.pushFunction(hex);
  L.setField(-2, name);
  L.pushFunction(binary);
  L.setField(-2, `${name}_bin`);
}
