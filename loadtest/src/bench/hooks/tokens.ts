import { createHmac, generateKeyPairSync, randomBytes, sign } from "node:crypto";

/** Tokens of one user, and the keys that a server checks them with. */
interface BenchTokens {
	readonly hs256: string;
	readonly rs256: string;
	readonly hmacSecret: string;
	readonly rsaPublicKey: string;
}

export function makeTokens(): BenchTokens {
	const hmacSecret = randomBytes(24).toString("base64url");
	const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
	const signed = (algorithm: string): string => `${encoded({ alg: algorithm, typ: "JWT" })}.${encoded({ sub: "ann" })}`;
	const [hs, rs] = [signed("HS256"), signed("RS256")];
	return {
		hs256: `${hs}.${createHmac("sha256", hmacSecret).update(hs).digest("base64url")}`,
		rs256: `${rs}.${sign("sha256", Buffer.from(rs), privateKey).toString("base64url")}`,
		hmacSecret,
		rsaPublicKey: String(publicKey.export({ type: "spki", format: "pem" })),
	};
}

const encoded = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url");
