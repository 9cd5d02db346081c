import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { messageOf, UserError } from "../errors.ts";
import type { Log } from "../log.ts";

/** Paths of PEM files: a certificate, with those of its issuers behind it, and its private key. */
export interface CertificateFiles {
  cert: string;
  key: string;
}

/** PEM texts. */
export interface CertificatePair {
  cert: string;
  key: string;
}

const POLL_MS = 500;

/**
 * Reads both files. `where` is how messages name the setting, such as `engine.apiServer.tls`. Throws a `UserError` when a
 * file cannot be read, is not what it should be, or the key is not the certificate's.
 */
export function readCertificate({ cert, key }: CertificateFiles, where: string): CertificatePair {
  const pair = { cert: read(cert, `${where}.cert`), key: read(key, `${where}.key`) };
  const leaf = parse(`${where}.cert: found ${cert}, expected a PEM certificate`, () => new X509Certificate(pair.cert));
  const secret = parse(`${where}.key: found ${key}, expected a PEM private key without a passphrase`, () =>
    createPrivateKey(pair.key),
  );
  if (!leaf.checkPrivateKey(secret)) {
    throw new UserError(`${where}.key: found ${key}, which is not the key of the certificate ${cert}`);
  }
  return pair;
}

/** A listener's certificate, read again when its files change. A broken pair is logged once, and the old one stays. */
export class Certificate {
  /** Takes a new pair into use; when it throws, the old one stays. */
  onChange: (pair: CertificatePair) => void = () => {};
  readonly #files: CertificateFiles;
  readonly #where: string;
  readonly #log: Log;
  readonly #timer: Timer;
  #pair: CertificatePair;
  #read: string;
  #seen: string;

  /** Throws a `UserError` as `readCertificate` does. */
  constructor(files: CertificateFiles, where: string, log: Log) {
    this.#files = files;
    this.#where = where;
    this.#log = log;
    this.#read = this.#seen = fingerprint(files);
    this.#pair = readCertificate(files, where);
    this.#timer = setInterval(() => this.#poll(), POLL_MS);
    this.#timer.unref();
  }

  get pair(): CertificatePair {
    return this.#pair;
  }

  /** Looks at the files no more. */
  stop(): void {
    clearInterval(this.#timer);
  }

  #poll(): void {
    const now = fingerprint(this.#files);
    // The files are written one after the other: read once both have kept still from one look to the next.
    const still = now === this.#seen;
    this.#seen = now;
    if (!still || now === this.#read) return;
    this.#read = now;
    try {
      const pair = readCertificate(this.#files, this.#where);
      this.onChange(pair);
      this.#pair = pair;
      this.#log.info(`${this.#where}: the certificate ${this.#files.cert} was reloaded`);
    } catch (thrown) {
      this.#log.error(`the certificate was not reloaded, the old one stays: ${messageOf(thrown)}`);
    }
  }
}

function read(path: string, where: string): string {
  return parse(`${where}: cannot read ${path}`, () => readFileSync(path, "utf8"));
}

function parse<T>(problem: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw new UserError(`${problem} (${messageOf(thrown)})`);
  }
}

function fingerprint({ cert, key }: CertificateFiles): string {
  return [cert, key]
    .map((path) => {
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat === undefined ? "absent" : `${stat.ino} ${stat.mtimeMs} ${stat.size}`;
    })
    .join(", ");
}
