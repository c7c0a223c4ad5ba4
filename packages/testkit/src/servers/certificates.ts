import { spawnSync } from "node:child_process";
import { join } from "node:path";

interface TestCertificateOptions {
	/** Of the files, and the common name. */
	readonly name: string;
	/** In the certificate; none if not given. */
	readonly serverNames?: readonly string[];
	/** Days that it is valid, from now; 30 by default. */
	readonly days?: number;
	/** As `openssl req -newkey` takes it: P-256 if not given. */
	readonly key?: readonly string[];
	/** Further extensions, such as `keyUsage=digitalSignature`. */
	readonly extensions?: readonly string[];
	/** If given, the key is encrypted with it. */
	readonly passphrase?: string;
}

export interface TestCertificate {
	readonly certFile: string;
	readonly keyFile: string;
}

const ecKey = ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];

/** Creates a self-signed certificate with `openssl`, in about 20 ms. @throws when openssl is missing or refuses the options. */
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
