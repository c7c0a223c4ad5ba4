import { isIP, isIPv4 } from "node:net";

/** A server to load. */
export interface Target {
	readonly host: string;
	readonly port: number;
	readonly path: string;
	readonly httpUrl: string;
	/** The host as the URL spells it, for the server: `host` may be the address of it. */
	readonly name: string;
	/** Whether it is this machine. */
	readonly isLocal: boolean;
	/** For wss://; null = connections are not encrypted. */
	readonly tls: TargetTls | null;
}

export interface TargetTls {
	/** False = the server's certificate is not checked. */
	readonly verify: boolean;
	/** Certificate authority in PEM; null = those that Node knows. */
	readonly ca: string | null;
	/** Whether connections resume the session of an earlier one. */
	readonly resumes: boolean;
}

/**
 * Reads a ws:// or wss:// URL and refuses everything that is not this machine, unless `remote`: a tool that opens 12,000 connections must
 * not be aimed at somebody else's server by a typing error.
 * @throws RangeError whose message completes the sentence `"<text>" …`.
 */
export function parseTarget(text: string, remote = false): Target {
	let url: URL;
	try {
		url = new URL(text);
	} catch {
		throw new RangeError("is not a URL; write ws://127.0.0.1:3005");
	}
	const isSecure = url.protocol === "wss:";
	if (url.protocol !== "ws:" && !isSecure) throw new RangeError(`has the scheme ${url.protocol}//; only ws:// and wss:// are supported`);
	const name = url.hostname.replace(/^\[|\]$/g, "");
	const loopback = name === "localhost" || name === "::1" || (isIPv4(name) && name.startsWith("127."));
	if (!loopback && !remote) throw new RangeError(notLocal);
	const host = name === "localhost" ? "127.0.0.1" : name;
	const port = Number(url.port || (isSecure ? 443 : 80));
	const httpUrl = `http${isSecure ? "s" : ""}://${host.includes(":") ? `[${host}]` : host}:${port}`;
	return {
		host,
		port,
		name: host,
		isLocal: loopback,
		path: url.pathname + url.search,
		httpUrl,
		tls: isSecure ? { verify: true, ca: null, resumes: false } : null,
	};
}

/** Completes the sentence `"<url>" …`. */
export const notLocal =
	"is not on this machine (127.0.0.0/8, ::1, localhost); if the server is yours and may be loaded, add --allow-remote";

const targetsMax = 64;

/** With addresses instead of host names: to look one up for each connection would load the name server. @throws when a name is unknown. */
export function withAddresses(targets: readonly Target[], lookup: (host: string) => Promise<{ address: string }>): Promise<Target[]> {
	return Promise.all(
		targets.map(async (target) => {
			if (isIP(target.host) !== 0) return target;
			try {
				return { ...target, host: (await lookup(target.host)).address };
			} catch (error) {
				throw new Error(`the host ${target.host} is not known (${(error as NodeJS.ErrnoException).code}); correct --url`);
			}
		}),
	);
}

/**
 * Reads one URL, or several with commas between them, after those that were given `before`.
 * @throws RangeError as `parseTarget`, or when a node is there twice or there are too many.
 */
export function parseTargets(list: string, before: readonly Target[], remote = false): Target[] {
	const targets = [...before];
	for (const text of list.split(",")) {
		const target = parseTarget(text.trim(), remote);
		if (targets.some(({ host, port }) => host === target.host && port === target.port))
			throw new RangeError(`names ${target.host}:${target.port} twice; give each node once`);
		targets.push(target);
	}
	if (targets.length > targetsMax) throw new RangeError(`names more than ${targetsMax} nodes`);
	return targets;
}

/** The client's path with the channel that it listens to. */
export function pathWithChannel(path: string, channel: string): string {
	return `${path}${path.includes("?") ? "&" : "?"}channels=${encodeURIComponent(channel)}`;
}

const connectionsPerAddress = 5_000;
const addressesMax = 250;

/**
 * Source addresses to spread `connections` over: 127.0.0.2, .3, …. One address has 28,000 ports for one target; far fewer
 * are used of each, because the kernel's search for a free port gets slow long before that and because connections of the
 * run before still hold theirs for a minute. Empty when a target is not IPv4, or another machine: then the kernel's choice.
 */
export function sourceAddresses(targets: readonly Target[], connections: number): string[] {
	if (!targets.every(({ host, isLocal }) => isLocal && isIPv4(host))) return [];
	const count = Math.min(addressesMax, Math.max(1, Math.ceil(connections / connectionsPerAddress)));
	return Array.from({ length: count }, (_, index) => `127.0.0.${index + 2}`);
}
