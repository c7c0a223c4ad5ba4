import { createPublicKey } from "node:crypto";
import { parseRegex } from "../../../units/regex.ts";
import { checkedText, secret, text, toggle } from "../../kinds.ts";
import { option, type ServingCommand, withGateway } from "../../option.ts";

/** The place of the options of one kind of token, and its name in `--help`. */
interface TokenKind {
	readonly flag: string;
	readonly key: string;
	readonly words: string;
	/** The commands that use such tokens. */
	readonly commands: readonly ServingCommand[];
}

const hmacSecret = ({ flag, key, words, commands }: TokenKind) =>
	option({
		flag: `${flag}-hmac-secret`,
		key: `${key}.hmac_secret_key`,
		kind: secret({ argument: "<key>", charactersMin: 8 }),
		default: undefined,
		commands,
		live: true,
		help: `Key of ${words} signed with HS256, HS384 or HS512, at least 8 characters; set it in the environment, where ps does not show it.`,
	});

const publicKey = ({ flag, key, words, commands }: TokenKind, type: "rsa" | "ecdsa", algorithms: string) =>
	option({
		flag: `${flag}-${type}-public-key`,
		key: `${key}.${type}_public_key`,
		kind: checkedText({ argument: "<pem>", check: (pem) => checkPublicKey(pem, type === "rsa" ? "rsa" : "ec") }),
		default: "",
		commands,
		live: true,
		help: `Public key, in PEM, of ${words} signed with ${algorithms}; empty = none are valid.`,
	});

const jwks = ({ flag, key, words, commands }: TokenKind) =>
	option({
		flag: `${flag}-jwks-endpoint`,
		key: `${key}.jwks_public_endpoint`,
		kind: checkedText({ argument: "<url>", check: checkEndpoint }),
		default: "",
		commands,
		live: true,
		help: `URL of a JSON Web Key Set with the public keys of ${words} (RS*, ES*, EdDSA); no other key is used then; {{name}} in its path is replaced by what the group of that name matches in the issuer or audience regex; empty = none.`,
	});

const exactly = ({ flag, key, words, commands }: TokenKind, claim: "audience" | "issuer", jwt: string) =>
	option({
		flag: `${flag}-${claim}`,
		key: `${key}.${claim}`,
		kind: text({ argument: "<text>", matches: /^[^\n]{0,1024}$/, expected: "one line of at most 1024 characters" }),
		default: "",
		commands,
		live: true,
		help: `Value that the claim ${jwt} of ${words} must have; empty = not checked.`,
	});

const matching = ({ flag, key, words, commands }: TokenKind, claim: "audience" | "issuer", jwt: string) =>
	option({
		flag: `${flag}-${claim}-regex`,
		key: `${key}.${claim}_regex`,
		kind: checkedText({ argument: "<regex>", check: parseRegex }),
		default: "",
		commands,
		live: true,
		help: `Regular expression that the claim ${jwt} of ${words} must match; empty = not checked.`,
	});

const userClaim = ({ flag, key, words, commands }: TokenKind) =>
	option({
		flag: `${flag}-user-id-claim`,
		key: `${key}.user_id_claim`,
		kind: text({ argument: "<name>", matches: /^([a-zA-Z_]+)?$/, expected: "a name of letters and _" }),
		default: "",
		commands,
		live: true,
		help: `Claim of ${words} that names the user; empty = sub.`,
	});

const connection: TokenKind = { flag: "token", key: "token", words: "connection tokens", commands: withGateway };
const subscription: TokenKind = {
	flag: "subscription-token",
	key: "subscription_token",
	words: "subscription tokens",
	commands: ["multi", "single"],
};
const rsa = "RS256, RS384 or RS512";
const ecdsa = "ES256, ES384 or ES512";

/** Tokens of clients that connect; subscription tokens as well, unless client.subscription_token is enabled. */
export const tokenOptions = {
	tokenHmacSecret: hmacSecret(connection),
	tokenRsaPublicKey: publicKey(connection, "rsa", rsa),
	tokenEcdsaPublicKey: publicKey(connection, "ecdsa", ecdsa),
	tokenJwksEndpoint: jwks(connection),
	tokenAudience: exactly(connection, "audience", "aud"),
	tokenAudienceRegex: matching(connection, "audience", "aud"),
	tokenIssuer: exactly(connection, "issuer", "iss"),
	tokenIssuerRegex: matching(connection, "issuer", "iss"),
	tokenUserIdClaim: userClaim(connection),
} as const;

export const subscriptionTokenOptions = {
	subscriptionTokenEnabled: option({
		flag: "subscription-token",
		key: "subscription_token.enabled",
		kind: toggle(),
		default: false,
		live: true,
		help: "Subscription tokens are checked with the options of client.subscription_token; otherwise with those of client.token.",
	}),
	subscriptionTokenHmacSecret: hmacSecret(subscription),
	subscriptionTokenRsaPublicKey: publicKey(subscription, "rsa", rsa),
	subscriptionTokenEcdsaPublicKey: publicKey(subscription, "ecdsa", ecdsa),
	subscriptionTokenJwksEndpoint: jwks(subscription),
	subscriptionTokenAudience: exactly(subscription, "audience", "aud"),
	subscriptionTokenAudienceRegex: matching(subscription, "audience", "aud"),
	subscriptionTokenIssuer: exactly(subscription, "issuer", "iss"),
	subscriptionTokenIssuerRegex: matching(subscription, "issuer", "iss"),
	subscriptionTokenUserIdClaim: userClaim(subscription),
} as const;

function checkPublicKey(pem: string, type: "rsa" | "ec"): void {
	if (pem === "") return;
	// A public key could be derived from a private one, but the private key would be printed as if it were public.
	if (pem.includes("PRIVATE KEY-----")) throw new RangeError("is a private key; give the public key that belongs to it");
	let found: string | undefined;
	try {
		found = createPublicKey(pem).asymmetricKeyType;
	} catch {
		throw new RangeError("is not a public key in PEM");
	}
	if (found !== type) throw new RangeError(`is not a public key of type ${type.toUpperCase()}`);
}

/** A placeholder for what the group of that name matches. */
export const jwksPart = /\{\{\s*(\w+)\s*\}\}/g;

/** Placeholders that groups of the issuer's or audience's regular expression fill in. */
export function jwksNames(endpoint: string): string[] {
	return [...endpoint.matchAll(jwksPart)].map(([, name]) => name!);
}

function checkEndpoint(text: string): void {
	if (text === "") return;
	const filled = text.replace(jwksPart, "x");
	if (/\{\{|\}\}/.test(filled)) throw new RangeError("has something in {{ }} that is not the name of a group");
	const url = URL.canParse(filled) ? new URL(filled) : null;
	if (url === null || !["http:", "https:"].includes(url.protocol))
		throw new RangeError("is not a URL that begins with https:// or http://");
	// A token must not choose which server is contacted.
	if (/^[^/]*\/\/[^/]*\{\{/.test(text)) throw new RangeError("has {{ }} before its path; only the path may have any");
}
