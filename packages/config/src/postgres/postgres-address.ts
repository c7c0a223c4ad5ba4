import { checkLogin } from "../check-login.ts";
import { hostPortText, parseHostPort } from "../url-parts.ts";

const tlsModes = ["disable", "require", "verify-full"] as const;

/** Where PostgreSQL is reached. */
export interface PostgresAddress {
	readonly host: string;
	readonly port: number;
	readonly user: string;
	/** Empty = none. */
	readonly password: string;
	readonly database: string;
	/** `require`: encrypted, but the server's certificate is not checked. `verify-full`: the certificate must be valid and name the host. */
	readonly tlsMode: (typeof tlsModes)[number];
	/** PEM file of the CA that signed the server's certificate; empty = the CAs that Node trusts. */
	readonly tlsCa: string;
}

const example = "postgres://app:secret@10.0.0.5:5432/app";
const defaultPort = 5432;
const pattern = /^postgres(?:ql)?:\/\/(?:([^@/?]*)@)?([^@/?]*)(?:\/([^?]*))?(?:\?(.*))?$/;

/**
 * Reads `postgres://user:password@host:port/database[?sslmode=disable|require|verify-full][&sslrootcert=file]`.
 * @throws RangeError with the rest of the sentence that begins with the option. It never quotes the text, which may hold a password.
 */
export function parsePostgresAddress(text: string): PostgresAddress {
	checkLogin(text);
	const [, login = "", hosts, path = "", query = ""] = pattern.exec(text.trim()) ?? [];
	if (hosts === undefined) throw new RangeError(`is not an address of PostgreSQL; write one such as ${example}`);
	if (hosts.includes(",")) throw new RangeError("has several hosts; give one, such as a name that follows the primary server");
	const { host, port } = parseHostPort(hosts, defaultPort, `write one such as ${example}`);
	const parameters = new URLSearchParams(query);
	for (const key of parameters.keys())
		if (key !== "sslmode" && key !== "sslrootcert")
			throw new RangeError(`has the parameter "${key}"; only sslmode and sslrootcert are known`);
	const tlsMode = tlsModes.find((mode) => mode === (parameters.get("sslmode") ?? "disable"));
	if (tlsMode === undefined) throw new RangeError(`has an unknown sslmode; give one of ${tlsModes.join(", ")}`);
	const colon = login.indexOf(":");
	const user = decoded(colon < 0 ? login : login.slice(0, colon));
	if (user === "") throw new RangeError(`has no user; write one such as ${example}`);
	const database = decoded(path);
	if (database === "") throw new RangeError(`has no database after the host; write one such as ${example}`);
	const password = colon < 0 ? "" : decoded(login.slice(colon + 1));
	return { host, port, user, password, database, tlsMode, tlsCa: parameters.get("sslrootcert") ?? "" };
}

/** Without user and password: for logs and messages. */
export function postgresAddressText(address: PostgresAddress): string {
	return `postgres://${hostPortText(address)}/${encodeURIComponent(address.database)}`;
}

function decoded(text: string): string {
	try {
		return decodeURIComponent(text);
	} catch {
		throw new RangeError("has a % that begins no character; write %25 for a percent sign");
	}
}
