import { bytesArgument, isAbsent, numberArgument, tableArgument } from "./arguments.ts";
import { latin1 } from "./latin1.ts";
import type { LuaState } from "./state.ts";

/**
 * The part of `os` that scripts have: `time`, `date`, `clock` and `difftime` (reference manual 5.3, section 6.9). Times are
 * seconds since 1970, fractions allowed as `mix.time()` gives them, in any year; fengari's end in 2038 and are never UTC.
 */
export function installOs(L: LuaState): void {
  L.newTable();
  for (const [name, fn] of Object.entries({ time, date, clock, difftime })) {
    L.pushFunction(fn);
    L.setField(-2, name);
  }
  L.nameFunctions("os");
  L.setGlobal("os");
}

function clock(L: LuaState): number {
  L.pushNumber(performance.now() / 1000);
  return 1;
}

function difftime(L: LuaState): number {
  L.pushNumber(numberArgument(L, 1) - (isAbsent(L, 2) ? 0 : numberArgument(L, 2)));
  return 1;
}

/** Of a table in local time, whose fields are brought into their ranges as the reference manual has it. */
function time(L: LuaState): number {
  if (isAbsent(L, 1)) {
    L.pushNumber(Math.floor(Date.now() / 1000));
    return 1;
  }
  tableArgument(L, 1);
  const at = new Date(0);
  at.setFullYear(field(L, "year"), field(L, "month") - 1, field(L, "day"));
  at.setHours(field(L, "hour", 12), field(L, "min", 0), field(L, "sec", 0), 0);
  if (Number.isNaN(at.getTime())) L.error("time result cannot be represented");
  L.setTop(1);
  setFields(L, local(at));
  L.pushNumber(at.getTime() / 1000);
  return 1;
}

function field(L: LuaState, name: string, missing?: number): number {
  const type = L.getField(1, name);
  const number = L.toNumber(-1);
  L.pop();
  if (type === "nil") return missing ?? L.error(`field '${name}' missing in date table`);
  return Number.isInteger(number) ? number! : L.error(`field '${name}' is not an integer`);
}

/** `date([format [, time]])`; with "!" in front it is UTC. */
function date(L: LuaState): number {
  const given = isAbsent(L, 1) ? "%c" : latin1(bytesArgument(L, 1));
  const at = new Date(isAbsent(L, 2) ? Date.now() : Math.floor(numberArgument(L, 2)) * 1000);
  if (Number.isNaN(at.getTime())) L.argError(2, "time cannot be represented as a date");
  const utc = given.startsWith("!");
  const format = utc ? given.slice(1) : given;
  const moment = utc ? { fields: at, at, offset: 0, zone: "GMT" } : local(at);
  if (format.startsWith("*t")) {
    L.newTable();
    setFields(L, moment);
    return 1;
  }
  L.pushBytes(Buffer.from(formatted(L, format, moment), "latin1"));
  return 1;
}

interface Moment {
  at: Date;
  /** The same, moved so that its UTC fields are the ones to show. */
  fields: Date;
  /** Minutes east of Greenwich. */
  offset: number;
  zone: string | undefined;
}

function local(at: Date): Moment {
  const offset = -at.getTimezoneOffset();
  return { at, fields: new Date(at.getTime() + offset * 60_000), offset, zone: undefined };
}

function setFields(L: LuaState, { fields }: Moment): void {
  const values = {
    year: fields.getUTCFullYear(),
    month: fields.getUTCMonth() + 1,
    day: fields.getUTCDate(),
    hour: fields.getUTCHours(),
    min: fields.getUTCMinutes(),
    sec: fields.getUTCSeconds(),
    wday: fields.getUTCDay() + 1,
    yday: dayOfYear(fields) + 1,
  };
  for (const [name, value] of Object.entries(values)) {
    L.pushNumber(value);
    L.setField(-2, name);
  }
  L.pushBoolean(false);
  L.setField(-2, "isdst");
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = "January February March April May June July August September October November December".split(" ");

/** Conversions of C's strftime in the C locale (ISO C99, 7.23.3.5), by letter; a string is a format of its own. */
const CONVERSIONS: Record<string, string | ((moment: Moment) => string)> = {
  a: ({ fields }) => DAYS[fields.getUTCDay()]!.slice(0, 3),
  A: ({ fields }) => DAYS[fields.getUTCDay()]!,
  b: ({ fields }) => MONTHS[fields.getUTCMonth()]!.slice(0, 3),
  B: ({ fields }) => MONTHS[fields.getUTCMonth()]!,
  c: "%a %b %e %H:%M:%S %Y",
  C: ({ fields }) => padded(Math.floor(fields.getUTCFullYear() / 100)),
  d: ({ fields }) => padded(fields.getUTCDate()),
  D: "%m/%d/%y",
  e: ({ fields }) => String(fields.getUTCDate()).padStart(2, " "),
  F: "%Y-%m-%d",
  g: ({ fields }) => padded(isoWeek(fields).year % 100),
  G: ({ fields }) => String(isoWeek(fields).year),
  h: "%b",
  H: ({ fields }) => padded(fields.getUTCHours()),
  I: ({ fields }) => padded(((fields.getUTCHours() + 11) % 12) + 1),
  j: ({ fields }) => padded(dayOfYear(fields) + 1, 3),
  m: ({ fields }) => padded(fields.getUTCMonth() + 1),
  M: ({ fields }) => padded(fields.getUTCMinutes()),
  n: () => "\n",
  p: ({ fields }) => (fields.getUTCHours() < 12 ? "AM" : "PM"),
  r: "%I:%M:%S %p",
  R: "%H:%M",
  s: ({ at }) => String(at.getTime() / 1000),
  S: ({ fields }) => padded(fields.getUTCSeconds()),
  t: () => "\t",
  T: "%H:%M:%S",
  u: ({ fields }) => String(fields.getUTCDay() || 7),
  U: ({ fields }) => padded(Math.floor((dayOfYear(fields) + 7 - fields.getUTCDay()) / 7)),
  V: ({ fields }) => padded(isoWeek(fields).week),
  w: ({ fields }) => String(fields.getUTCDay()),
  W: ({ fields }) => padded(Math.floor((dayOfYear(fields) + 7 - ((fields.getUTCDay() + 6) % 7)) / 7)),
  x: "%D",
  X: "%T",
  y: ({ fields }) => padded(fields.getUTCFullYear() % 100),
  Y: ({ fields }) => String(fields.getUTCFullYear()),
  z: ({ offset }) =>
    `${offset < 0 ? "-" : "+"}${padded(Math.floor(Math.abs(offset) / 60))}${padded(Math.abs(offset) % 60)}`,
  Z: ({ at, zone }) => zone ?? zoneName(at),
  "%": () => "%",
};

function formatted(L: LuaState, format: string, moment: Moment): string {
  return format.replace(/%(?:E(?=[cCxXyY])|O(?=[deHImMSuUVwWy]))?(.?)/gs, (directive, letter: string) => {
    const conversion = Object.hasOwn(CONVERSIONS, letter)
      ? CONVERSIONS[letter]!
      : L.argError(1, `invalid conversion specifier '${directive}'`);
    return typeof conversion === "string" ? formatted(L, conversion, moment) : conversion(moment);
  });
}

function padded(value: number, width = 2): string {
  return String(value).padStart(width, "0");
}

const DAY = 86_400_000;

/** Counted from 0. */
function dayOfYear(fields: Date): number {
  return Math.floor((fields.getTime() - Date.UTC(fields.getUTCFullYear(), 0, 1)) / DAY);
}

/** ISO 8601: a week belongs to the year of its Thursday. */
function isoWeek(fields: Date): { year: number; week: number } {
  const thursday = new Date(fields.getTime() + (4 - (fields.getUTCDay() || 7)) * DAY);
  return { year: thursday.getUTCFullYear(), week: Math.floor(dayOfYear(thursday) / 7) + 1 };
}

function zoneName(at: Date): string {
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(at);
  return parts.find(({ type }) => type === "timeZoneName")?.value ?? "";
}
