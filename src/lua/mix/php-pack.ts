import { bytesArgument, failure, textArgument, typeName } from "../arguments.ts";
import type { LuaState } from "../state.ts";
import { pack, unpack } from "./php-format.ts";
import { type PackArgument, PackError } from "./php-number.ts";

/** `mix.php_pack(format, …)` and `mix.php_unpack(format, s)`. */
export function installPhpPack(L: LuaState): void {
  L.pushFunction(phpPack);
  L.setField(-2, "php_pack");
  L.pushFunction(phpUnpack);
  L.setField(-2, "php_unpack");
}

function phpPack(L: LuaState): number {
  const format = textArgument(L, 1);
  const args: PackArgument[] = [];
  for (let arg = 2, count = L.getTop(); arg <= count; arg++) {
    const value = L.type(arg) === "number" ? L.toNumber(arg) : L.toBytes(arg);
    args.push(value ?? L.argError(arg, `number or string expected, got ${typeName(L, arg)}`));
  }
  try {
    L.pushBytes(pack(format, args));
    return 1;
  } catch (error) {
    if (error instanceof PackError) return failure(L, `php_pack: ${error.message}`);
    throw error;
  }
}

/** Integers beyond 2^53, which a Lua number cannot hold here, come as decimal strings; `php_pack` takes them back. */
function phpUnpack(L: LuaState): number {
  const format = textArgument(L, 1);
  const bytes = bytesArgument(L, 2);
  try {
    const values = unpack(format, bytes);
    L.newTable();
    for (const [key, value] of values) {
      if (typeof key === "number") L.pushNumber(key);
      else L.pushText(key);
      if (typeof value === "number") L.pushNumber(value);
      else if (typeof value === "bigint") L.pushText(value.toString());
      else L.pushBytes(value);
      L.rawSet(-3);
    }
    return 1;
  } catch (error) {
    if (error instanceof PackError) return failure(L, `php_unpack: ${error.message}`);
    throw error;
  }
}
