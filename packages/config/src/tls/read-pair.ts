import { createHash, createPrivateKey, type KeyObject, type X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import type { Certificate } from "./certificate.ts";
import { readChain } from "./pem-chain.ts";
import { readPemFile } from "./pem-file.ts";

export interface PairFiles {
	readonly certFile: string;
	/** "" = the same file. */
	readonly keyFile: string;
	/** None = those in the certificate. */
	readonly serverNames: readonly string[];
	readonly passphrase: string | undefined;
}

/** What is wrong with a pair: which file, and the rest of a sentence that begins with its path. */
interface PairProblem {
	readonly file: "cert" | "key";
	readonly text: string;
}

export interface Pair {
	readonly certificate: Certificate;
	/** Problems that affect some clients but not the server, one sentence each. */
	readonly warnings: readonly string[];
}

const keyTypes: ReadonlySet<string> = new Set(["rsa", "ec"]);
const curves: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);
/** Clients refuse shorter ones. */
const rsaBitsMin = 2048;

/** As BoringSSL, which the WebSocket library uses, accepts it. */
const exponentBitsMax = 33;

/** Reads a certificate and its key, and checks that they work and belong together. */
export function readPair({ certFile, keyFile, serverNames, passphrase }: PairFiles): Pair | PairProblem {
	const certText = readPemFile(certFile);
	if ("problem" in certText) return { file: "cert", text: `${certFile} ${certText.problem}` };
	const chain = readChain(certText.text);
	if (typeof chain === "string") return { file: "cert", text: `${certFile} ${chain}` };
	const keyPath = keyFile === "" ? certFile : keyFile;
	const keyText = keyFile === "" || keyFile === certFile ? certText : readPemFile(keyFile);
	if ("problem" in keyText) return { file: "key", text: `${keyPath} ${keyText.problem}` };
	if (keyFile === "" && !keyText.text.includes("PRIVATE KEY-----"))
		return { file: "key", text: `${certFile} has no private key; name the file that has it` };
	const key = readKey(keyText.text, passphrase);
	if (typeof key === "string") return { file: "key", text: `${keyPath} ${key}` };
	const [leaf] = chain.certificates as [X509Certificate];
	if (!leaf.checkPrivateKey(key)) return { file: "key", text: `${keyPath} is not the key of the certificate in ${certFile}` };
	if (key.asymmetricKeyType === "ec" && !maySign(leaf))
		return {
			file: "cert",
			text: `${certFile} has an ECDSA key that it does not allow to sign; its key usage must have digitalSignature`,
		};
	const keyPem = key.export({ type: "pkcs8", format: "pem" }) as string;
	const refused = refusedPair(chain.pem, keyPem);
	if (refused !== null) return { file: "cert", text: `${certFile} can't be used: ${refused}` };
	const names = (serverNames.length > 0 ? [...serverNames] : namesIn(leaf)).map((name) => name.toLowerCase());
	return {
		certificate: {
			path: certFile,
			chain: chain.pem,
			key: keyPem,
			serverNames: names,
			expiresMs: Date.parse(leaf.validTo),
			fingerprint: createHash("sha256").update(`${chain.pem}\0${keyPem}\0${names.join()}`).digest("base64url"),
		},
		warnings: [
			...validity(certFile, leaf),
			...order(certFile, chain.certificates),
			...((keyText.mode & 0o007) === 0 ? [] : [`${keyPath} may be read by every user of this machine; run chmod o= on it`]),
		],
	};
}

/** The key in the text, or what is wrong with it. */
function readKey(text: string, passphrase: string | undefined): KeyObject | string {
	if (!text.includes("PRIVATE KEY-----"))
		return text.includes("-----BEGIN CERTIFICATE-----")
			? "has a certificate and no private key; have the two files been swapped?"
			: "has no private key in PEM (-----BEGIN PRIVATE KEY-----)";
	let key: KeyObject;
	try {
		key = createPrivateKey({ key: text, ...(passphrase !== undefined && { passphrase }) });
	} catch (error) {
		const { code, message } = error as NodeJS.ErrnoException;
		const isEncrypted = /ENCRYPTED/.test(text);
		if (isEncrypted && passphrase === undefined)
			return "is encrypted; give its passphrase in SHARDCAST_TLS_KEY_PASSPHRASE or http_server.tls.key_passphrase";
		if (isEncrypted) return "can't be decrypted; is the passphrase the right one?";
		return `has a private key that can't be read: ${code ?? message}`;
	}
	const type = key.asymmetricKeyType ?? "";
	const { namedCurve, modulusLength = 0, publicExponent = 0n } = key.asymmetricKeyDetails ?? {};
	if (!keyTypes.has(type)) return `has a key of type ${type}; use RSA or ECDSA`;
	if (type === "ec" && !curves.has(namedCurve ?? "")) return `has a key on the curve ${namedCurve}; use P-256, P-384 or P-521`;
	if (type === "rsa" && modulusLength < rsaBitsMin) return `has an RSA key of ${modulusLength} bits; use ${rsaBitsMin} or more`;
	const exponentBits = publicExponent.toString(2).length;
	if (exponentBits > exponentBitsMax) return `has an RSA key with a public exponent of ${exponentBits} bits; use 65537, as is usual`;
	return key;
}

/** The extension keyUsage in DER: its identifier, perhaps `critical`, and a bit string in an octet string. Its first bit is digitalSignature. */
const keyUsage = /0603551d0f(?:0101ff)?040[34]030[23]0[0-7]([0-9a-f]{2})/;

/** Without it, BoringSSL does not accept a certificate with an ECDSA key; OpenSSL does. */
function maySign({ raw }: X509Certificate): boolean {
	const found = keyUsage.exec(raw.toString("hex"));
	return found === null || (Number.parseInt(found[1]!, 16) & 0x80) !== 0;
}

/** Why a TLS library does not take them; null = it does. A signature that is too weak is such a reason. */
function refusedPair(cert: string, key: string): string | null {
	try {
		createSecureContext({ cert, key, minVersion: "TLSv1.2" });
		return null;
	} catch (error) {
		return (error as Error).message;
	}
}

/** DNS names in the certificate. */
function namesIn({ subjectAltName }: X509Certificate): string[] {
	return (subjectAltName ?? "").split(/,\s*/).flatMap((name) => (name.startsWith("DNS:") ? [name.slice("DNS:".length)] : []));
}

function validity(path: string, { validFrom, validTo }: X509Certificate): string[] {
	const now = Date.now();
	if (Date.parse(validFrom) > now) return [`${path} is not valid before ${day(Date.parse(validFrom))}`];
	return expiryWarning(path, Date.parse(validTo), now) ?? [];
}

const dayMs = 86_400_000;
const warnedDays = 14;

/** Before the end, and after it; null while it is far. */
export function expiryWarning(path: string, expiresMs: number, nowMs: number): [string] | null {
	if (expiresMs <= nowMs) return [`${path} expired on ${day(expiresMs)}: clients refuse it`];
	const days = Math.floor((expiresMs - nowMs) / dayMs);
	return days > warnedDays ? null : [`${path} expires on ${day(expiresMs)}, in ${days} days`];
}

function day(ms: number): string {
	return new Date(ms).toISOString().slice(0, "2026-01-31".length);
}

function order(path: string, [leaf, issuer]: readonly X509Certificate[]): string[] {
	if (leaf === undefined || issuer === undefined || leaf.checkIssued(issuer)) return [];
	return [`${path}: the second certificate has not issued the first; write the server's first, then its issuer's`];
}
