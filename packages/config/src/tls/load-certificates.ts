import { ConfigError } from "../load/config-error.ts";
import type { NameOf } from "../options/checks/check.ts";
import { type Certificate, type TlsConfig, usesTls } from "./certificate.ts";
import { type PairFiles, readPair } from "./read-pair.ts";

/** Each certificate takes some megabytes in each shard. */
const certificatesMax = 32;

interface LoadedCertificates {
	/** The first is for clients that ask for no server name, or for one that nobody has. Empty = connections are not encrypted. */
	readonly certificates: readonly Certificate[];
	readonly warnings: readonly string[];
}

/**
 * Reads all certificates and keys, and checks that each works. Files are read now; nothing is kept.
 * @throws ConfigError with a line for each that is wrong.
 */
export function loadCertificates(config: TlsConfig, name: NameOf): LoadedCertificates {
	if (!usesTls(config)) return { certificates: [], warnings: [] };
	const { tlsCert, tlsKey, tlsKeyPassphrase: passphrase, tlsCertificates } = config;
	if (tlsCertificates.length >= certificatesMax)
		throw new ConfigError([`${name("tlsCertificates")}: there are ${tlsCertificates.length}; the most is ${certificatesMax - 1}`]);
	const first = { files: { certFile: tlsCert, keyFile: tlsKey, serverNames: [], passphrase }, cert: name("tlsCert"), key: name("tlsKey") };
	const others = tlsCertificates.map((files, index) => {
		const place = name("tlsCertificates", [index]);
		return { files: { ...files, passphrase }, cert: place, key: place };
	});
	const problems: string[] = [];
	const warnings: string[] = [];
	const certificates: Certificate[] = [];
	const owners = new Map<string, string>();
	for (const { files, cert, key } of [first, ...others] satisfies { files: PairFiles }[]) {
		const pair = readPair(files);
		if ("text" in pair) {
			problems.push(`${pair.file === "cert" ? cert : key}: ${pair.text}`);
			continue;
		}
		const { certificate } = pair;
		warnings.push(...pair.warnings.map((text) => `${cert}: ${text}`));
		if (certificates.length > 0 && certificate.serverNames.length === 0)
			problems.push(`${cert}: ${certificate.path} has no server names; give some in server_names`);
		for (const serverName of certificate.serverNames) {
			const owner = owners.get(serverName);
			if (owner === undefined) owners.set(serverName, certificate.path);
			else if (owner !== certificate.path)
				warnings.push(`${cert}: clients of ${serverName} get the certificate in ${owner}, which comes first`);
		}
		certificates.push(certificate);
	}
	if (problems.length > 0) throw new ConfigError(problems);
	return { certificates, warnings };
}
