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
	let folder: string | null = null;
	try {
		const sealed = createPrivateKey(key).export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase }) as string;
		folder = newFolder({ "cert.pem": chain, "key.pem": sealed });
		return SSLApp({ cert_file_name: join(folder, "cert.pem"), key_file_name: join(folder, "key.pem"), passphrase });
	} catch (error) {
		throw new Error(`uWebSockets.js does not accept the certificate in ${path}: ${(error as Error).message}`);
	} finally {
		if (folder !== null) rmSync(folder, { recursive: true, force: true });
	}
}

/** In memory if possible. A container with a read-only file system may have no other writable folder. */
function newFolder(files: Readonly<Record<string, string>>): string {
	try {
		return newFolderIn("/dev/shm", files);
	} catch {
		// There is no such file system, or it is full.
		return newFolderIn(tmpdir(), files);
	}
}

function newFolderIn(parent: string, files: Readonly<Record<string, string>>): string {
	const folder = mkdtempSync(join(parent, "shardcast-tls-"));
	try {
		for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600, flag: "wx" });
		return folder;
	} catch (error) {
		rmSync(folder, { recursive: true, force: true });
		throw error;
	}
}
