import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { type CommandInput, type Config, parseDuration } from "@shardcast/config";
import { print, StartupError } from "@shardcast/process";
import { checkToken, type SigningKey, SigningKeyError, signingKey, signToken } from "@shardcast/server/tokens";

type Own = CommandInput["own"];

/** Signs a token and prints it. */
export async function tokenCreate({ loaded, own }: CommandInput): Promise<number> {
	const claims = claimsOf(loaded.config, own);
	const key = keyOf(loaded.config, own, claims.channel !== undefined);
	await print(`${await signToken(claims, key, given(own, "kid"))}\n`);
	return 0;
}

/** Reads a token from stdin, prints its contents and whether it is valid. Exit status 1 = it is not. */
export async function tokenCheck({ loaded }: CommandInput): Promise<number> {
	if (process.stdin.isTTY) process.stderr.write("paste the token, then Enter and Ctrl-D:\n");
	const token = (await text(process.stdin)).trim();
	if (token === "") throw wrong("there is no token on stdin; write: shardcast token check < file");
	const { kind, header, claims, problem, user, expiresAt } = await checkToken(token, loaded.config);
	const lines = [header, claims].map((part, index) =>
		part === null ? null : `${index === 0 ? "header" : "claims"} ${JSON.stringify(part, null, 2)}`,
	);
	const whose = user === "" ? "an anonymous user" : `user ${JSON.stringify(user)}`;
	const until = Number.isFinite(expiresAt) ? `until ${new Date(Math.min(expiresAt, 8.64e12) * 1000).toISOString()}` : "for ever";
	lines.push(problem === null ? `valid: a ${kind} token of ${whose}, ${until}` : `invalid: ${problem}`);
	await print(`${lines.filter((line) => line !== null).join("\n")}\n`);
	return problem === null ? 0 : 1;
}

/** The claims, with audience and issuer from the configuration. */
function claimsOf(config: Config, own: Own): Record<string, unknown> {
	const isSubscription = own.channel !== undefined;
	const hasOwnRules = isSubscription && config.subscriptionTokenEnabled;
	const audience = hasOwnRules ? config.subscriptionTokenAudience : config.tokenAudience;
	const issuer = hasOwnRules ? config.subscriptionTokenIssuer : config.tokenIssuer;
	const userClaim = (hasOwnRules ? config.subscriptionTokenUserIdClaim : config.tokenUserIdClaim) || "sub";
	const channels = given(own, "channels");
	if (isSubscription && channels !== undefined) throw wrong("--channels: a token for one --channel has none; leave one of the two out");
	if (!isSubscription && own.client !== undefined) throw wrong("--client: it is for a token for one --channel; give that too");
	const now = Math.floor(Date.now() / 1000);
	const expires = expiresMs(own);
	return {
		...(audience !== "" && { aud: audience }),
		...(issuer !== "" && { iss: issuer }),
		...(own.user !== undefined && { [userClaim]: own.user }),
		iat: now,
		...(expires > 0 && { exp: now + Math.ceil(expires / 1000) }),
		...(isSubscription && { channel: own.channel, ...(own.client !== undefined && { client: own.client }) }),
		...(channels !== undefined && { channels: channels.split(",") }),
		...(own.info !== undefined && { info: jsonOf(own, "info") }),
		...moreClaims(own),
	};
}

const usualExpiry = "1h";

function expiresMs(own: Own): number {
	try {
		return parseDuration(given(own, "expires") ?? usualExpiry);
	} catch (error) {
		throw wrong(`--expires: "${own.expires}" ${(error as Error).message}`);
	}
}

function moreClaims(own: Own): object {
	if (own.claims === undefined) return {};
	const claims = jsonOf(own, "claims");
	if (typeof claims !== "object" || claims === null || Array.isArray(claims)) throw wrong("--claims: this is not a JSON object");
	return claims;
}

function jsonOf(own: Own, name: "info" | "claims"): unknown {
	try {
		return JSON.parse(own[name] as string);
	} catch (error) {
		throw wrong(`--${name}: this is not JSON: ${(error as Error).message}`);
	}
}

function keyOf(config: Config, own: Own, isSubscription: boolean): SigningKey {
	const file = given(own, "private-key");
	if (file !== undefined) return keyIn(file);
	const isOwn = isSubscription && config.subscriptionTokenEnabled;
	const secret = isOwn ? config.subscriptionTokenHmacSecret : config.tokenHmacSecret;
	if (secret !== undefined) return signingKey({ secret });
	const name = isOwn ? "client.subscription_token.hmac_secret_key" : "client.token.hmac_secret_key";
	const variable = isOwn ? "SHARDCAST_SUBSCRIPTION_TOKEN_HMAC_SECRET" : "SHARDCAST_TOKEN_HMAC_SECRET";
	throw wrong(`there is nothing to sign with: set ${name} in the config file or ${variable}, or give the file of a --private-key`);
}

function keyIn(file: string): SigningKey {
	try {
		return signingKey({ pem: readFileSync(file, "utf8") });
	} catch (error) {
		if (error instanceof SigningKeyError) throw wrong(`--private-key: ${file} ${error.message}`);
		throw wrong(`--private-key: ${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
	}
}

function given(own: Own, name: string): string | undefined {
	const value = own[name];
	return value === true ? "" : value;
}

function wrong(message: string): StartupError {
	return new StartupError(message, { exitStatus: 2 });
}
