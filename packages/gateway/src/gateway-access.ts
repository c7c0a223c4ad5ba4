import { authRequired, type Config, ConfigError, hasTokenKey, type LoadedConfig, optionNames } from "@shardcast/config";
import { newlyOpenPages } from "@shardcast/http";

/** @throws ConfigError when a gateway cannot work with these options. */
export function checkGateway({ config, layers }: LoadedConfig): void {
	const name = optionNames(layers);
	if (config.gatewayBackends.length === 0 && !config.discover)
		throw new ConfigError([
			`${name("gatewayBackends")}: there are no backends${meantAsBackend(config.gatewayAddr)}; name them, as in "shardcast gateway 3020 127.0.0.1:9001", or let them announce themselves with ${name("discover")}`,
		]);
	// Not a rule of the options: other commands may have the secret in their environment.
	const unused = config.discover ? undefined : (["discoverySecret", "discoveryNetworks"] as const).find((key) => isGiven(config[key]));
	if (unused !== undefined) throw new ConfigError([`${name(unused)}: has no effect without ${name("discover")}; add that`]);
}

/** @throws ConfigError when a reload would leave no backends. @param discovery null = none are found. */
export function checkBackendsLeft({ gatewayBackends }: Pick<Config, "gatewayBackends">, discovery: object | null): void {
	if (gatewayBackends.length === 0 && discovery === null)
		throw new ConfigError(["there would be no backends left; name at least one in gateway.backends, or restart with --discover"]);
}

/** Who gives only the address of a backend has left out the first argument. */
function meantAsBackend(address: string): string {
	return address.startsWith(":") ? "" : ` (${address} is the address for clients)`;
}

function isGiven(value: string | readonly string[] | undefined): boolean {
	return value !== undefined && value.length > 0;
}

/** What everyone may do who reaches the gateway; null = clients must show a token. */
export function openMode(config: Config): string | null {
	if (authRequired(config) && !config.allowAnonymousConnect) return null;
	const closes = authRequired(config)
		? "--no-allow-anonymous-connect closes it"
		: "set a token key, such as --token-hmac-secret, to require tokens";
	return `open mode: every client that reaches this gateway can send frames to its backends, and gets theirs; ${closes}`;
}

/** What does not work since there is no Redis; null = nothing: there is one, or clients are no users. */
export function offWithoutRedis(config: Config): string | null {
	if (config.redisAddress !== undefined || !hasTokenKey(config)) return null;
	return "no Redis: this gateway does not hear which users the nodes of a cluster block or disconnect, and which tokens they revoke; --redis-url and --redis-prefix of the cluster change that";
}

/** What new options open to everyone, one line each. */
export function newlyOpen(before: Config, after: Config): readonly string[] {
	const open = openMode(after);
	const lines = open !== null && openMode(before) === null ? [`now ${open}`] : [];
	return [...lines, ...newlyOpenPages(before, after, "can connect")];
}

/** For people: who may connect. */
export function access(config: Config): string {
	if (openMode(config) !== null) return "open mode: no client needs a token";
	return hasTokenKey(config)
		? "clients need a token"
		: "no client can connect: authentication is required, and there is no key for tokens; set one, such as --token-hmac-secret, or --no-require-auth";
}

/** For people: the backends. @param discoveryPort null = backends are not discovered. */
export function aboutBackends({ gatewayBackends: backends }: Pick<Config, "gatewayBackends">, discoveryPort: number | null): string {
	const named = backends.length === 0 ? "" : `the backend${backends.length === 1 ? "" : "s"} ${backends.join(", ")}`;
	if (discoveryPort === null) return named;
	const found = `backends that announce themselves on UDP port ${discoveryPort} (on all addresses)`;
	return named === "" ? found : `${named}, and ${found}`;
}
