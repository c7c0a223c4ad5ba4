import { spawnSync } from "node:child_process";
import { join } from "node:path";

interface TestCertificateOptions {
	/** Of the files, and the common name. */
	readonly name: string;
	/** In the certificate; none if not given. */
	readonly serverNames?: readonly string[];
	/** How long it is valid, from now (30). */
	readonly days?: number;
	/** As `openssl req -newkey` takes it: P-256 if not given. */
	readonly key?: readonly string[];
	/** More of them, such as `keyUsage=digitalSignature`. */
	readonly extensions?: readonly string[];
	/** With it the key is encrypted. */
	readonly passphrase?: string;
}

export interface TestCertificate {
	readonly certFile: string;
	readonly keyFile: string;
}

const ecKey = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

/** A certificate that has signed itself, made by `openssl` in about 20 ms. @throws when there is no openssl, or it does not like the options. */
export function makeCertificate(folder: string, options: TestCertificateOptions): TestCertificate {
	const { name, serverNames = [], days = 30, key = ecKey, extensions = [], passphrase } = options;
	const certFile = join(folder, `${name}.crt`);
	const keyFile = join(folder, `${name}.key`);
	const names = ["IP:127.0.0.1", ...serverNames.map((each) => `DNS:${each}`)].join();
	const protection = passphrase === undefined ? ["-nodes"] : ["-passout", `pass:${passphrase}`];
	const outcome = spawnSync(
		"openssl",
		[
			...["req", "-x509", "-newkey", ...key, ...protection, "-keyout", keyFile, "-out", certFile],
			...["-days", String(days), "-subj", `/CN=${name}`, "-addext", `subjectAltName=${names}`],
			...extensions.flatMap((extension) => ["-addext", extension]),
		],
		{ encoding: "utf8" },
	);
	if (outcome.status !== 0) throw new Error(`openssl made no certificate: ${outcome.error?.message ?? outcome.stderr}`);
	return { certFile, keyFile };
}
