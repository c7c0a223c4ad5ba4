import { isIPv4 } from "node:net";

/** A server to load. */
export interface Target {
	readonly host: string;
	readonly port: number;
	readonly path: string;
	readonly httpUrl: string;
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
 * Reads a ws:// or wss:// URL and refuses everything that is not this machine: a tool that opens 12,000 connections must not be aimed
 * at somebody else's server by a typing error.
 * @throws RangeError whose message completes the sentence `"<text>" …`.
 */
export function parseTarget(text: string): Target {
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
	if (!loopback) throw new RangeError(`is not on this machine; the load test only loads 127.0.0.0/8, ::1 and localhost`);
	const host = name === "localhost" ? "127.0.0.1" : name;
	const port = Number(url.port || (isSecure ? 443 : 80));
	const httpUrl = `http${isSecure ? "s" : ""}://${host.includes(":") ? `[${host}]` : host}:${port}`;
	return { host, port, path: url.pathname + url.search, httpUrl, tls: isSecure ? { verify: true, ca: null, resumes: false } : null };
}

const targetsMax = 64;

/**
 * Reads one URL, or several with commas between them, after those that were given `before`.
 * @throws RangeError as `parseTarget`, or when a node is there twice or there are too many.
 */
export function parseTargets(list: string, before: readonly Target[]): Target[] {
	const targets = [...before];
	for (const text of list.split(",")) {
		const target = parseTarget(text.trim());
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
 * run before still hold theirs for a minute. Empty when a target is not IPv4: then the kernel's choice.
 */
export function sourceAddresses(targets: readonly Target[], connections: number): string[] {
	if (!targets.every(({ host }) => isIPv4(host))) return [];
	const count = Math.min(addressesMax, Math.max(1, Math.ceil(connections / connectionsPerAddress)));
	return Array.from({ length: count }, (_, index) => `127.0.0.${index + 2}`);
}
