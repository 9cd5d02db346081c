import { beginCall, beginTailCall, call, clearSlots, closeUpvalues, endCall, raiseTop } from "./fengari-frames.ts";
import { get, getField, set, setField } from "./fengari-index.ts";
import { arithmetic, bitOperation, concatenate, modulo, prepareLoop } from "./fengari-operators.ts";
import { Table } from "./fengari-tables.ts";
import type { Frame, Instruction, LuaClosure, Proto, Thread, Value } from "./fengari-types.ts";

/**
 * The loop that runs Lua's instructions, in the place of fengari's: numbers are of one kind, and what a script does most goes
 * straight through. The instructions are those of Lua 5.3 (lopcodes.h of PUC-Rio's Lua says what each does).
 */

const { LUA_HOOKCOUNT } = require("fengari/src/defs.js");
const ldo = require("fengari/src/ldo.js");
const { LClosure } = require("fengari/src/lobject.js");
const { LFIELDS_PER_FLUSH } = require("fengari/src/lopcodes.js");
const { CIST_FRESH } = require("fengari/src/lstate.js");
const lvm = require("fengari/src/lvm.js");

// Enumerations of this file are inlined, so that the switch below becomes a jump table.
enum Op {
  MOVE,
  LOADK,
  LOADKX,
  LOADBOOL,
  LOADNIL,
  GETUPVAL,
  GETTABUP,
  GETTABLE,
  SETTABUP,
  SETUPVAL,
  SETTABLE,
  NEWTABLE,
  SELF,
  ADD,
  SUB,
  MUL,
  MOD,
  POW,
  DIV,
  IDIV,
  BAND,
  BOR,
  BXOR,
  SHL,
  SHR,
  UNM,
  BNOT,
  NOT,
  LEN,
  CONCAT,
  JMP,
  EQ,
  LT,
  LE,
  TEST,
  TESTSET,
  CALL,
  TAILCALL,
  RETURN,
  FORLOOP,
  FORPREP,
  TFORCALL,
  TFORLOOP,
  SETLIST,
  CLOSURE,
  VARARG,
}

enum Tag {
  Nil = 0,
  Boolean = 1,
  Number = 3,
  Table = 5,
  LuaFunction = 6,
  String = 20,
}

/** Set in an operand that is a constant's number, not a register's. */
const CONSTANT = 0x100;
const NUMBER_OF_CONSTANT = 0xff;

function execute(L: Thread): void {
  const { stack } = L;
  let frame = L.ci;
  frame.callstatus |= CIST_FRESH;
  for (;;) {
    const { p, upvals }: LuaClosure = frame.func.value;
    const { k } = p;
    const { l_base: base, l_code: code } = frame;
    let pc = frame.l_savedpc;
    running: for (;;) {
      const i = code[pc++]!;
      frame.l_savedpc = pc;
      if (--L.hookcount === 0) callHook(L);
      const a = stack[base + i.A]!;
      switch (i.opcode) {
        case Op.MOVE: {
          const b = stack[base + i.B]!;
          a.type = b.type;
          a.value = b.value;
          break;
        }
        case Op.LOADK: {
          const b = k[i.Bx]!;
          a.type = b.type;
          a.value = b.value;
          break;
        }
        case Op.LOADKX:
          a.setfrom(k[code[pc++]!.Ax]!);
          break;
        case Op.LOADBOOL:
          a.type = Tag.Boolean;
          a.value = i.B !== 0;
          if (i.C !== 0) pc++;
          break;
        case Op.LOADNIL:
          for (let j = base + i.A; j <= base + i.A + i.B; j++) stack[j]!.setnilvalue();
          break;
        case Op.GETUPVAL: {
          const b = upvals[i.B]!;
          a.type = b.type;
          a.value = b.value;
          break;
        }
        case Op.GETTABUP: {
          const key = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          if (key.type === Tag.String) getField(L, upvals[i.B]!, key, a, i);
          else get(L, upvals[i.B]!, key, a);
          break;
        }
        case Op.GETTABLE: {
          const object = stack[base + i.B]!;
          const key = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          if (key.type === Tag.String) getField(L, object, key, a, i);
          else get(L, object, key, a);
          break;
        }
        case Op.SETTABUP: {
          const key = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const value = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          if (key.type === Tag.String) setField(L, upvals[i.A]!, key, value, i);
          else set(L, upvals[i.A]!, key, value);
          break;
        }
        case Op.SETUPVAL: {
          const b = upvals[i.B]!;
          b.type = a.type;
          b.value = a.value;
          break;
        }
        case Op.SETTABLE: {
          const key = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const value = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          if (key.type === Tag.String) setField(L, a, key, value, i);
          else set(L, a, key, value);
          break;
        }
        case Op.NEWTABLE:
          a.type = Tag.Table;
          a.value = new Table(L);
          break;
        case Op.SELF: {
          const object = stack[base + i.B]!;
          const key = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          stack[base + i.A + 1]!.setfrom(object);
          getField(L, stack[base + i.A + 1]!, key, a, i);
          break;
        }
        case Op.ADD: {
          const b = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const c = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          if (b.type === Tag.Number && c.type === Tag.Number) {
            a.value = b.value + c.value;
            a.type = Tag.Number;
          } else arithmetic(L, Op.ADD, b, c, a);
          break;
        }
        case Op.SUB: {
          const b = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const c = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          if (b.type === Tag.Number && c.type === Tag.Number) {
            a.value = b.value - c.value;
            a.type = Tag.Number;
          } else arithmetic(L, Op.SUB, b, c, a);
          break;
        }
        case Op.MUL: {
          const b = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const c = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          if (b.type === Tag.Number && c.type === Tag.Number) {
            a.value = b.value * c.value;
            a.type = Tag.Number;
          } else arithmetic(L, Op.MUL, b, c, a);
          break;
        }
        case Op.MOD: {
          const b = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const c = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          if (b.type === Tag.Number && c.type === Tag.Number) {
            a.value = modulo(b.value, c.value);
            a.type = Tag.Number;
          } else arithmetic(L, Op.MOD, b, c, a);
          break;
        }
        case Op.POW:
        case Op.DIV:
        case Op.IDIV: {
          const b = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const c = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          arithmetic(L, i.opcode, b, c, a);
          break;
        }
        case Op.BAND: {
          const b = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const c = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          if (isInt32(b) && isInt32(c)) {
            a.value = b.value & c.value;
            a.type = Tag.Number;
          } else bitOperation(L, Op.BAND, b, c, a);
          break;
        }
        case Op.BOR: {
          const b = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const c = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          if (isInt32(b) && isInt32(c)) {
            a.value = b.value | c.value;
            a.type = Tag.Number;
          } else bitOperation(L, Op.BOR, b, c, a);
          break;
        }
        case Op.BXOR:
        case Op.SHL:
        case Op.SHR: {
          const b = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const c = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          bitOperation(L, i.opcode, b, c, a);
          break;
        }
        case Op.UNM: {
          const b = stack[base + i.B]!;
          arithmetic(L, Op.UNM, b, b, a);
          break;
        }
        case Op.BNOT: {
          const b = stack[base + i.B]!;
          bitOperation(L, Op.BNOT, b, b, a);
          break;
        }
        case Op.NOT:
          a.value = isFalse(stack[base + i.B]!);
          a.type = Tag.Boolean;
          break;
        case Op.LEN: {
          const b = stack[base + i.B]!;
          if (b.type === Tag.String) {
            a.value = b.value.tsslen();
            a.type = Tag.Number;
          } else if (b.type === Tag.Table && b.value.metatable === null) {
            a.value = b.value.items.length;
            a.type = Tag.Number;
          } else lvm.luaV_objlen(L, a, b);
          break;
        }
        case Op.CONCAT:
          if (!concatenate(L, base + i.B, base + i.C, a)) {
            L.top = base + i.C + 1;
            lvm.luaV_concat(L, i.C - i.B + 1);
            a.setfrom(stack[base + i.B]!);
            raiseTop(L, frame.top);
          }
          break;
        case Op.JMP:
          pc = jump(L, base, i, pc);
          break;
        case Op.EQ: {
          const b = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const c = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          if (isEqual(L, b, c) !== (i.A !== 0)) pc++;
          else pc = jump(L, base, code[pc]!, pc + 1);
          break;
        }
        case Op.LT: {
          const b = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const c = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          const less =
            b.type === Tag.Number && c.type === Tag.Number ? b.value < c.value : lvm.luaV_lessthan(L, b, c) !== 0;
          if (less !== (i.A !== 0)) pc++;
          else pc = jump(L, base, code[pc]!, pc + 1);
          break;
        }
        case Op.LE: {
          const b = i.B & CONSTANT ? k[i.B & NUMBER_OF_CONSTANT]! : stack[base + i.B]!;
          const c = i.C & CONSTANT ? k[i.C & NUMBER_OF_CONSTANT]! : stack[base + i.C]!;
          const less =
            b.type === Tag.Number && c.type === Tag.Number ? b.value <= c.value : lvm.luaV_lessequal(L, b, c) !== 0;
          if (less !== (i.A !== 0)) pc++;
          else pc = jump(L, base, code[pc]!, pc + 1);
          break;
        }
        case Op.TEST:
          if (isFalse(a) === (i.C !== 0)) pc++;
          else pc = jump(L, base, code[pc]!, pc + 1);
          break;
        case Op.TESTSET: {
          const b = stack[base + i.B]!;
          if (isFalse(b) === (i.C !== 0)) pc++;
          else {
            a.type = b.type;
            a.value = b.value;
            pc = jump(L, base, code[pc]!, pc + 1);
          }
          break;
        }
        case Op.CALL: {
          const at = base + i.A;
          // Otherwise the instruction before has set the top.
          if (i.B !== 0) L.top = at + i.B;
          if (!beginCall(L, at, i.C - 1)) {
            frame = L.ci;
            break running;
          }
          if (i.C !== 0) raiseTop(L, frame.top);
          break;
        }
        case Op.TAILCALL: {
          const at = base + i.A;
          if (i.B !== 0) L.top = at + i.B;
          if (!beginTailCall(L, frame, at)) {
            frame = L.ci;
            break running;
          }
          break;
        }
        case Op.RETURN: {
          if (p.p.length > 0) closeUpvalues(L, base);
          const results = frame.nresults;
          endCall(L, frame, base + i.A, i.B !== 0 ? i.B - 1 : L.top - base - i.A);
          if (frame.callstatus & CIST_FRESH) return;
          frame = L.ci;
          if (results >= 0) raiseTop(L, frame.top);
          break running;
        }
        case Op.FORLOOP: {
          const step = stack[base + i.A + 2]!.value;
          const index = a.value + step;
          const limit = stack[base + i.A + 1]!.value;
          if (step > 0 ? index <= limit : limit <= index) {
            pc += i.sBx;
            a.value = index;
            const visible = stack[base + i.A + 3]!;
            visible.type = Tag.Number;
            visible.value = index;
          }
          break;
        }
        case Op.FORPREP:
          prepareLoop(L, a, stack[base + i.A + 1]!, stack[base + i.A + 2]!);
          pc += i.sBx;
          break;
        case Op.TFORCALL: {
          const at = base + i.A + 3;
          for (let j = 0; j < 3; j++) stack[at + j]!.setfrom(stack[at + j - 3]!);
          L.top = at + 3;
          call(L, at, i.C);
          raiseTop(L, frame.top);
          break;
        }
        case Op.TFORLOOP: {
          const control = stack[base + i.A + 1]!;
          if (control.type !== Tag.Nil) {
            a.type = control.type;
            a.value = control.value;
            pc += i.sBx;
          }
          break;
        }
        case Op.SETLIST: {
          const count = i.B !== 0 ? i.B : L.top - base - i.A - 1;
          const batch = i.C !== 0 ? i.C : code[pc++]!.Ax;
          const table: Table = a.value;
          const first = (batch - 1) * LFIELDS_PER_FLUSH;
          for (let j = 1; j <= count; j++) table.setInteger(first + j, stack[base + i.A + j]!);
          settleTop(L, frame);
          break;
        }
        case Op.CLOSURE:
          a.value = closureOf(L, p.p[i.Bx]!, upvals, base);
          a.type = Tag.LuaFunction;
          break;
        case Op.VARARG:
          loadVarargs(L, frame, p, i);
          break;
      }
    }
  }
}

function callHook(L: Thread): void {
  L.hookcount = L.basehookcount;
  ldo.luaD_hook(L, LUA_HOOKCOUNT, -1);
}

function isFalse(value: Value): boolean {
  return value.type === Tag.Nil || (value.type === Tag.Boolean && value.value === false);
}

function isInt32(value: Value): boolean {
  return value.type === Tag.Number && (value.value | 0) === value.value;
}

function isEqual(L: Thread, a: Value, b: Value): boolean {
  if (a.type === b.type) {
    if (a.type === Tag.Number) return a.value === b.value;
    if (a.type === Tag.String) return a.value.equals(b.value);
  }
  return lvm.luaV_equalobj(L, a, b) !== 0;
}

function jump(L: Thread, base: number, i: Instruction, pc: number): number {
  if (i.A !== 0) closeUpvalues(L, base + i.A - 1);
  return pc + i.sBx;
}

/** After an instruction that took values up to a top set by the one before. */
function settleTop(L: Thread, frame: Frame): void {
  if (L.top > frame.top) {
    clearSlots(L.stack, frame.top, L.top);
    L.top = frame.top;
  } else raiseTop(L, frame.top);
}

/** The function last made of the same source, when it would be the same. */
function closureOf(L: Thread, p: Proto, outer: Value[], base: number): LuaClosure {
  const count = p.upvalues.length;
  const { cache } = p;
  let same = cache !== null;
  for (let j = 0; j < count && same; j++) same = cache!.upvals[j] === upvalueOf(L, p, outer, base, j);
  if (same) return cache!;
  const closure: LuaClosure = new LClosure(L, count);
  closure.p = p;
  for (let j = 0; j < count; j++) closure.upvals[j] = upvalueOf(L, p, outer, base, j);
  p.cache = closure;
  return closure;
}

function upvalueOf(L: Thread, p: Proto, outer: Value[], base: number, j: number): Value {
  const { instack, idx } = p.upvalues[j]!;
  return instack ? L.stack[base + idx]! : outer[idx]!;
}

function loadVarargs(L: Thread, frame: Frame, p: Proto, i: Instruction): void {
  const { stack } = L;
  const at = frame.l_base + i.A;
  const there = Math.max(0, frame.l_base - frame.funcOff - p.numparams - 1);
  let wanted = i.B - 1;
  if (wanted < 0) {
    wanted = there;
    ldo.luaD_checkstack(L, there);
    if (at + there > L.top) raiseTop(L, at + there);
    else L.top = at + there;
  }
  for (let j = 0; j < wanted; j++) {
    if (j < there) stack[at + j]!.setfrom(stack[frame.l_base - there + j]!);
    else stack[at + j]!.setnilvalue();
  }
}

lvm.luaV_execute = execute;
