import { type AuthConfig, authRequired, type Config, hasApiKey, hasTokenKey } from "@shardcast/config";

/** Who may publish. Also shown in `/health` and the console. */
export interface MayPublish {
	readonly http: "everyone" | "key" | "nobody";
	/** Clients of the raw endpoint; `permitted` = by the permissions of their channels. */
	readonly webSocket: "everyone" | "permitted" | "nobody";
}

type PublishConfig = AuthConfig & Pick<Config, "clientPublish">;

/** With an API key, clients only receive unless an option allows more: a key would be useless if clients could publish without it. */
export function mayPublish(config: PublishConfig): MayPublish {
	const { clientPublish } = config;
	const isOpen = !hasApiKey(config);
	if (authRequired(config)) return { http: isOpen ? "nobody" : "key", webSocket: clientPublish === "off" ? "nobody" : "permitted" };
	const clients = clientPublish === "auto" ? isOpen : clientPublish === "on";
	return { http: isOpen ? "everyone" : "key", webSocket: clients ? "everyone" : "nobody" };
}

/** The access rules, for `/health`. */
export function openAccess(config: PublishConfig): { readonly auth: "required" | "open"; readonly mayPublish: MayPublish } {
	return { auth: authRequired(config) ? "required" : "open", mayPublish: mayPublish(config) };
}

/** Describes what a change of options opens to people who had no access before, one line each. */
export function newlyOpen(before: Config, after: Config): string[] {
	const [were, are] = [mayPublish(before), mayPublish(after)];
	const http = were.http !== "everyone" && are.http === "everyone";
	const webSocket = were.webSocket !== "everyone" && are.webSocket === "everyone";
	const lines: string[] = [];
	if (authRequired(before) && !authRequired(after))
		lines.push("now open: clients of the raw endpoint need no token, and receive all messages; --require-auth closes it again");
	if (http && webSocket)
		lines.push("now open: everyone who reaches this can publish, over HTTP and as a WebSocket client; --api-key closes it again");
	else if (http) lines.push("now open: everyone who reaches this can publish over HTTP without a key; --api-key closes it again");
	else if (webSocket) lines.push("now open: every WebSocket client can publish; --client-publish off closes it again");
	lines.push(...newlyOpenPages(before, after, "can connect, and publish where that needs no key"));
	if (!before.clientInsecure && after.clientInsecure)
		lines.push(
			"now open: every client of the Centrifuge protocol can subscribe, publish, and read history and presence; --no-client-insecure closes it again",
		);
	else if (openToClients(before) === null && openToClients(after) !== null)
		lines.push("now open: clients of the Centrifuge protocol can connect without a token; --no-allow-anonymous-connect closes it again");
	return lines;
}

/** The same for what every server has: its console, and pages of other sites. @param may what these can do. */
export function newlyOpenPages(before: Config, after: Config, may: string): string[] {
	const lines: string[] = [];
	if (before.consoleToken !== undefined && after.consoleToken === undefined)
		lines.push("now open: every user of this machine can open the console without a token; --console-token closes it again");
	if (!before.allowedOrigins.includes("*") && after.allowedOrigins.includes("*"))
		lines.push(`now open: pages of every site ${may}; a list in --allowed-origins closes it again`);
	return lines;
}

/** The banner's line about clients of the Centrifuge protocol that need no token; null if all need one. */
export function openToClients({
	clientInsecure,
	allowAnonymousConnect,
}: Pick<Config, "clientInsecure" | "allowAnonymousConnect">): string | null {
	if (clientInsecure)
		return "insecure mode: every client of the Centrifuge protocol may subscribe, publish, and read history and presence (--client-insecure)";
	return allowAnonymousConnect ? "clients of the Centrifuge protocol need no token to connect (--allow-anonymous-connect)" : null;
}

/** The banner's line about publishing. */
export function whoPublishes(config: PublishConfig): string {
	if (authRequired(config)) return whoIsLetIn(config);
	const { http, webSocket } = mayPublish(config);
	const option = `--client-publish ${config.clientPublish}`;
	if (http === "everyone")
		return webSocket === "everyone"
			? "open mode: there is no --api-key, so everyone who reaches this can publish, over HTTP and as a WebSocket client"
			: `open mode: there is no --api-key, so everyone who reaches this can publish over HTTP; WebSocket clients only receive (${option})`;
	return webSocket === "everyone"
		? `publishing over HTTP needs the key; every WebSocket client can publish without it (${option})`
		: `publishing needs the key, over HTTP; WebSocket clients only receive (${option})`;
}

function whoIsLetIn(config: PublishConfig): string {
	const publishers = !hasApiKey(config) ? "nobody can publish over HTTP without an --api-key" : "publishing over HTTP needs the key";
	const viewers = config.consoleToken === undefined ? "the console is closed without a --console-token" : "the console needs its token";
	return `authentication is required: ${whoConnects(config)}; ${publishers}; ${viewers}`;
}

function whoConnects(config: PublishConfig): string {
	if (config.connectProxy.enabled)
		return hasTokenKey(config)
			? "clients need a token, or your backend lets them in (client.proxy.connect)"
			: "your backend decides which clients connect (client.proxy.connect); raw clients cannot, since there is no key for tokens (client.token)";
	return hasTokenKey(config)
		? "clients need a token"
		: "no client can connect by a token, since there is no key for tokens (client.token, or --no-require-auth)";
}
