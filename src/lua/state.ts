/**
 * The narrow seam to the Lua VM, in the words of Lua's own C API. `fengari.ts` stands behind it; nothing else in the project
 * imports fengari, so a second VM can take its place without a change to the libraries or the servers.
 *
 * A `LuaState` is one Lua thread (the main one or a coroutine). Indices are Lua's: 1 is the bottom of the current function's
 * stack, -1 the top. Reading functions never convert the value in place.
 */
export type LuaType = "none" | "nil" | "boolean" | "number" | "string" | "table" | "function" | "userdata" | "thread";

/** A function given to Lua: arguments are at 1…getTop(), results are pushed, their number is returned. */
export type HostFunction = (L: LuaState) => number;

export type CallStatus = "ok" | "yield" | "error";

/** Called every so many instructions of the threads it is set on; it may raise an error. */
export type CountHook = (L: LuaState) => void;

/** Where a compiled function, or one inside it, reads or sets a global variable. */
export interface GlobalUse {
  name: string;
  line: number;
  assigned: boolean;
}

/** Lua's own libraries, by the global they define; "_G" is the basic functions. */
export type LibraryName = "_G" | "coroutine" | "table" | "string" | "math" | "utf8" | "os";

export interface LuaState {
  // ---- stack
  getTop(): number;
  /** Cuts or fills with nil. */
  setTop(index: number): void;
  pop(count?: number): void;
  absIndex(index: number): number;
  pushValue(index: number): void;
  /** Moves the top element to `index`, shifting others up. */
  insert(index: number): void;
  remove(index: number): void;
  replace(index: number): void;
  /** Makes room for `count` more values; throws a Lua error ("stack overflow") when that is too many. */
  checkStack(count: number): void;
  /** Pops `count` values and pushes them on another thread of the same VM. */
  moveTo(other: LuaState, count: number): void;

  // ---- push
  pushNil(): void;
  pushBoolean(value: boolean): void;
  /** Numbers are doubles; whole ones up to 1e21 print as integers. */
  pushNumber(value: number): void;
  /** As UTF-8. Strings that recur (keys, constants) are converted once and kept. */
  pushText(value: string): void;
  /** A key or constant known at build time: converted once for the process. */
  pushKey(key: string): void;
  /** The state keeps `bytes` without copying: do not change them afterwards. */
  pushBytes(bytes: Uint8Array): void;
  /** `upvalues` values are taken from the top and are read with `upvalue(i)` inside. */
  pushFunction(fn: HostFunction, upvalues?: number): void;
  /** A full userdata that carries a host value Lua code cannot look into. */
  pushUserdata(value: object): void;
  /** A bare host value; two of the same object are equal. */
  pushLightUserdata(value: object): void;
  newTable(): void;
  /** The table of global variables. */
  pushGlobals(): void;

  // ---- read
  type(index: number): LuaType;
  /** A number without a fraction, below 2^53. */
  isInteger(index: number): boolean;
  toBoolean(index: number): boolean;
  /** `undefined` when neither a number nor a string that reads as one. */
  toNumber(index: number): number | undefined;
  /** The string's own bytes, not a copy: do not change them. Numbers are rendered as Lua does. `undefined` for other types. */
  toBytes(index: number): Uint8Array | undefined;
  /** Like `toBytes`, read as UTF-8 (malformed bytes become U+FFFD). */
  toText(index: number): string | undefined;
  /** The bytes as text only when they are well-formed UTF-8. */
  toStrictText(index: number): string | undefined;
  /** Whether the bytes of a string or number are well-formed UTF-8; `undefined` for other types. */
  isText(index: number): boolean | undefined;
  toUserdata(index: number): object | undefined;
  toThread(index: number): LuaState | undefined;
  /** What identifies a table, function, userdata or thread; `undefined` for plain values. */
  toPointer(index: number): object | undefined;
  rawLength(index: number): number;

  // ---- tables (get* push the value; set* pop it)
  getField(index: number, key: string): LuaType;
  setField(index: number, key: string): void;
  /** Pops a key, pushes its value; metamethods run. */
  getTable(index: number): LuaType;
  rawGetField(index: number, key: string): LuaType;
  rawSetField(index: number, key: string): void;
  rawGetIndex(index: number, i: number): LuaType;
  rawSetIndex(index: number, i: number): void;
  /** Pops a key, pushes its value. */
  rawGet(index: number): LuaType;
  /** Pops a value and a key. */
  rawSet(index: number): void;
  /** Pops a key, pushes the next pair; false, with nothing pushed, at the end. */
  next(index: number): boolean;
  getGlobal(name: string): LuaType;
  setGlobal(name: string): void;
  /** Pops a table or nil and makes it the value's metatable. */
  setMetatable(index: number): void;
  /** Pushes the metatable; false, with nothing pushed, when there is none. */
  getMetatable(index: number): boolean;

  // ---- references: a value kept in the registry under a number
  ref(): number;
  pushRef(ref: number): LuaType;
  unref(ref: number): void;
  upvalue(i: number): number;

  // ---- call
  /** Calls unprotected: errors pass through to the enclosing protected call. */
  call(args: number, results: number): void;
  /** Calls protected; on "error" the message (with a traceback when `traceback`) is on top. */
  protectedCall(args: number, results: number, traceback?: boolean): "ok" | "error";
  /**
   * Calls protected and allows the callee to yield: `continuation` runs on the results, all of them, after a yield too. On
   * `failed` the error value is on top. `handler` is the index of a message handler, or 0. To be returned from a host function.
   */
  protectedCallK(args: number, handler: number, continuation: (L: LuaState, failed: boolean) => number): number;
  /** Raises the value on top as it is. */
  raise(): never;
  /** Raises the value on top past every `protectedCallK` of this thread. */
  abort(): never;
  /** Raises a Lua error, prefixed with the script position of the caller like luaL_error. */
  error(message: string): never;
  /** luaL_argerror: "bad argument #arg to 'name' (message)". */
  argError(arg: number, message: string): never;
  /** Loads Lua source; pushes the chunk, or the message on "error". `name` is what errors show, e.g. "lua/entry.lua". */
  load(source: Uint8Array | string, name: string): "ok" | "error";
  /** The uses of globals in the Lua function at `index` and all functions inside it, in the order of their lines. */
  globalUses(index: number): GlobalUse[];
  /** Pops a value and makes it upvalue `i` of the function at `index`; false when it has no such upvalue. */
  setUpvalue(index: number, i: number): boolean;
  /** Opens one of Lua's own libraries as a global. */
  openLibrary(name: LibraryName): void;
  /** Errors call the functions of the table on top `name.key` where the call itself has no name for them, as in `pcall(f)`. */
  nameFunctions(name: string): void;
  /** Calls `hook` every `count` instructions of this thread and of those created from it later. */
  setCountHook(hook: CountHook, count: number): void;
  /** Counts work of a host function as so many instructions, so it may call the count hook, which may raise an error. */
  charge(instructions: number): void;
  /** `script:line:` of the function `level` above the running host function, or "". */
  where(level: number): string;
  traceback(message: string): string;

  /** Bytes scripts have allocated so far in all VMs, roughly; only its growth means something. */
  allocated(): number;
  /** Collects all garbage; answers the bytes in use by the process's heap. Slow. */
  collect(): number;

  // ---- coroutines
  /** A new thread of this VM, not pushed. Once its function has returned it can run another. */
  newThread(): LuaState;
  pushThread(thread: LuaState): void;
  /**
   * Starts or continues this thread with `args` values on its stack; "error" leaves the message on top and the thread dead.
   * `from` is the thread that resumes it, if any.
   */
  resume(args: number, from?: LuaState): CallStatus;
  /**
   * Yields the running coroutine with `results` values; when it is resumed, `continuation` runs in place of the caller.
   * To be returned from a host function: `return L.yield(0, k)`. Works inside pcall.
   */
  yield(results: number, continuation: HostFunction): number;
  isYieldable(): boolean;
  /** "running" also when it waits for another thread that it resumed. */
  threadStatus(): "suspended" | "running" | "dead";
}
