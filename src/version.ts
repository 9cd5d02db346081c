import packageJson from "../package.json";

export const NAME = packageJson.name;
export const VERSION = packageJson.version;

/** `connmix 1.0.0, bun 1.4.5, lua5.3+bit, linux, x64` */
export function versionLine(): string {
  return `${NAME} ${VERSION}, bun ${Bun.version}, lua5.3+bit, ${process.platform}, ${process.arch}`;
}

export const BANNER = String.raw`
   ___    ___    _  _   _  _   __  __   ___  __  __
  / __|  / _ \  | \| | | \| | |  \/  | |_ _| \ \/ /
 | (__  | (_) | | .  | | .  | | |\/| |  | |   >  <
  \___|  \___/  |_|\_| |_|\_| |_|  |_| |___| /_/\_\
`;
