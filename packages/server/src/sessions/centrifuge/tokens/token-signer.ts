import { createPrivateKey, type KeyObject } from "node:crypto";
import { decodeJwt, decodeProtectedHeader, type JWTHeaderParameters, type JWTPayload, SignJWT } from "jose";

/** The key cannot sign tokens. The message completes the sentence `<file> …`. */
export class SigningKeyError extends Error {}

export interface SigningKey {
	readonly key: Uint8Array | KeyObject;
	/** Such as "RS256". */
	readonly algorithm: string;
}

const curves: Readonly<Record<string, string>> = { prime256v1: "ES256", secp384r1: "ES384", secp521r1: "ES512" };

/**
 * Reads a key for signing tokens and chooses an algorithm that fits it.
 * @param from the secret for HMAC, or a private key in PEM.
 * @throws SigningKeyError when the PEM is not a private key of type RSA, EC or Ed25519.
 */
export function signingKey(from: { readonly secret: string } | { readonly pem: string }): SigningKey {
	if ("secret" in from) return { key: Buffer.from(from.secret), algorithm: "HS256" };
	let key: KeyObject;
	try {
		key = createPrivateKey(from.pem);
	} catch {
		throw new SigningKeyError("is not a private key in PEM without a password");
	}
	const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
	const algorithm = type === "rsa" ? "RS256" : type === "ed25519" ? "EdDSA" : type === "ec" ? curves[details?.namedCurve ?? ""] : undefined;
	if (algorithm === undefined) throw new SigningKeyError("is not a key of type RSA, EC (P-256, P-384, P-521) or Ed25519");
	return { key, algorithm };
}

/** @param keyId the `kid` header; undefined = none. */
export function signToken(claims: JWTPayload, { key, algorithm }: SigningKey, keyId?: string): Promise<string> {
	const header = { alg: algorithm, typ: "JWT", ...(keyId !== undefined && { kid: keyId }) };
	return new SignJWT(claims).setProtectedHeader(header).sign(key);
}

/** The contents of a token, without verification; null = it cannot be decoded. */
export function decodeToken(token: string): { readonly header: JWTHeaderParameters; readonly claims: JWTPayload } | null {
	try {
		return { header: decodeProtectedHeader(token) as JWTHeaderParameters, claims: decodeJwt(token) };
	} catch {
		return null;
	}
}
