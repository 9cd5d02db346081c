import { join } from "node:path";

/** PEM files of a self-signed certificate for 127.0.0.1. */
export interface TestCertificate {
  cert: string;
  key: string;
}

/** Makes a certificate with that common name in `folder`. Keys are made where they are needed, never kept. */
export async function makeCertificate(folder: string, name: string): Promise<TestCertificate> {
  const files = { cert: join(folder, `${name}.crt`), key: join(folder, `${name}.key`) };
  const options = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
  const names = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"];
  const openssl = Bun.spawn(
    ["openssl", "req", "-x509", ...options, ...names, "-keyout", files.key, "-out", files.cert],
    { stdout: "ignore", stderr: "pipe" },
  );
  const complaints = await new Response(openssl.stderr).text();
  if ((await openssl.exited) !== 0) throw new Error(complaints);
  return files;
}
