import { createSecureContext } from "node:tls";
import type { ProxyTlsOptions } from "../options/sections/clients/proxy.ts";
import { readChain } from "./pem-chain.ts";
import { readPemValue } from "./pem-value.ts";

/** TLS options for a backend, as node:https takes them. All in PEM; must never be logged. */
export interface BackendTls {
	/** Certificates that are trusted instead of Node's CAs. */
	readonly ca?: string;
	/** The client certificate, if the backend requests one. */
	readonly cert?: string;
	readonly key?: string;
	/** The name that its certificate must have, instead of that of the endpoint. */
	readonly servername?: string;
}

/** What is wrong with one of the options of `http.tls`: the rest of a sentence that begins with its name. */
export interface BackendTlsProblem {
	readonly option: "server_ca_pem" | "cert_pem" | "key_pem";
	readonly text: string;
}

const pems = [
	{ option: "server_ca_pem", value: "serverCa", field: "ca" },
	{ option: "cert_pem", value: "cert", field: "cert" },
	{ option: "key_pem", value: "key", field: "key" },
] as const;

/** Reads the certificates and the key of `http.tls`, and checks that they work together. Files are read now. Empty = `http.tls` is not enabled. */
export function readBackendTls(options: ProxyTlsOptions): BackendTls | { readonly problem: BackendTlsProblem } {
	if (!options.enabled) return {};
	const found: { -readonly [K in keyof BackendTls]: string } = {};
	for (const { option, value, field } of pems) {
		if (options[value] === "") continue;
		const pem = readPemValue(options[value]);
		if ("problem" in pem) return { problem: { option, text: pem.problem } };
		found[field] = pem.text;
	}
	if ((found.cert === undefined) !== (found.key === undefined))
		return {
			problem: { option: found.cert === undefined ? "key_pem" : "cert_pem", text: "is given without the other; give cert_pem and key_pem" },
		};
	if (options.serverName !== "") found.servername = options.serverName;
	const refused = refusedIn(found);
	return refused === null ? found : { problem: refused };
}

function refusedIn({ ca, cert, key }: BackendTls): BackendTlsProblem | null {
	// Node.js ignores trusted certificates that it cannot parse.
	for (const [option, text] of [
		["server_ca_pem", ca],
		["cert_pem", cert],
	] as const) {
		const chain = text === undefined ? null : readChain(text);
		if (typeof chain === "string") return { option, text: chain };
	}
	if (cert === undefined || key === undefined) return null;
	try {
		createSecureContext({ cert, key });
		return null;
	} catch (error) {
		// OpenSSL's messages do not quote their input.
		return { option: "key_pem", text: `can't be used with cert_pem: ${(error as Error).message}` };
	}
}
