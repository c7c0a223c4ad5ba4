import { createPrivateKey, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Certificate } from "@shardcast/config";
import { SSLApp, type TemplatedApp } from "./sockets-native.ts";

/**
 * Creates an app with a certificate: TLS 1.2 and 1.3, with the ciphers of the library's BoringSSL. The library accepts certificates and keys only as
 * files, and reads them at once. So it gets temporary files, with the key encrypted by a passphrase that is not stored. The app thus uses exactly what was
 * checked, even if the user's files change meanwhile, and no clear-text key is written to a disk.
 * @throws Error when the library does not accept them, which the checks of `@shardcast/config` should have found.
 */
export function createTlsApp({ path, chain, key }: Pick<Certificate, "path" | "chain" | "key">): TemplatedApp {
	const passphrase = randomBytes(24).toString("base64url");
	const folder = newFolder();
	try {
		const certFile = join(folder, "cert.pem");
		const keyFile = join(folder, "key.pem");
		const sealed = createPrivateKey(key).export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase });
		writeFileSync(certFile, chain, { mode: 0o600, flag: "wx" });
		writeFileSync(keyFile, sealed, { mode: 0o600, flag: "wx" });
		return SSLApp({ cert_file_name: certFile, key_file_name: keyFile, passphrase });
	} catch (error) {
		throw new Error(`uWebSockets.js does not accept the certificate in ${path}: ${(error as Error).message}`);
	} finally {
		rmSync(folder, { recursive: true, force: true });
	}
}

/** In memory if possible. A container with a read-only file system may have no other writable folder. */
function newFolder(): string {
	try {
		return mkdtempSync("/dev/shm/shardcast-tls-");
	} catch {
		// There is no such file system, or it is full.
		return mkdtempSync(join(tmpdir(), "shardcast-tls-"));
	}
}
