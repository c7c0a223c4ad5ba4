import { checkLogin } from "../check-login.ts";
import { hostPortText, parseHostPort } from "../url-parts.ts";

interface RedisNode {
	readonly host: string;
	readonly port: number;
}

/** Where Redis, or a server that speaks its protocol such as Valkey, is reached. */
export interface RedisAddress {
	/** A Redis Cluster; the nodes are some of its servers, the others are found. */
	readonly isCluster: boolean;
	readonly tls: boolean;
	/** One, or some of a cluster. */
	readonly nodes: readonly RedisNode[];
	/** Empty = none. */
	readonly user: string;
	/** Empty = none. */
	readonly password: string;
	readonly database: number;
}

const examples = "redis://10.0.0.5:6379, rediss://… with TLS, or redis+cluster://10.0.0.5:6379?addr=10.0.0.6:6379";
const defaultPort = 6379;
const pattern = /^(rediss?)(\+cluster)?:\/\/(?:([^@/?]*)@)?([^@/?]*)(?:\/([^?]*))?(?:\?(.*))?$/;

/**
 * Reads `redis://[user:password@]host:port[/database]`, `rediss://…` and `redis+cluster://host:port[?addr=host:port…]`.
 * @throws RangeError with the rest of the sentence that begins with the option. It never quotes the text, which may hold a password.
 */
export function parseRedisAddress(text: string): RedisAddress {
	checkLogin(text);
	if (/^(rediss?)?\+?sentinel:/.test(text) || text.includes("+sentinel:"))
		throw new RangeError("is an address of Sentinel, which is not supported; give the server's own address, or a Redis Cluster");
	if (/,\s*rediss?(\+\w+)?:/.test(text))
		throw new RangeError("has several addresses; channels are not divided among servers: use a Redis Cluster, redis+cluster://");
	const [, scheme, plus, login, hosts, path = "", query = ""] = pattern.exec(text.trim()) ?? [];
	if (text.includes("#")) throw new RangeError("has a #; in a password, write %23");
	if (scheme === undefined || hosts === undefined) throw new RangeError(`is not a Redis address; write, for example, ${examples}`);
	const isCluster = plus !== undefined;
	const more = new URLSearchParams(query);
	for (const name of more.keys())
		if (name !== "addr" || !isCluster) throw new RangeError(`has the parameter "${name}"; only redis+cluster:// has one, addr`);
	const nodes = [...hosts.split(","), ...more.getAll("addr")].map(
		(host): RedisNode => parseHostPort(host, defaultPort, `write, for example, ${examples}`),
	);
	if (!isCluster && nodes.length > 1) throw new RangeError("has several hosts, which only redis+cluster:// may have");
	if (!/^\d{0,5}$/.test(path)) throw new RangeError("has something after the / that is not a database number");
	const database = Number(path);
	if (isCluster && database !== 0) throw new RangeError("has a database, which a Redis Cluster does not have; leave it out");
	return { isCluster, tls: scheme === "rediss", nodes, ...parseLogin(login), database };
}

/** Without user and password: for logs and messages. */
export function redisAddressText({ isCluster, tls, nodes, database }: RedisAddress): string {
	const hosts = nodes.map(hostPortText).join(",");
	return `redis${tls ? "s" : ""}${isCluster ? "+cluster" : ""}://${hosts}${database === 0 ? "" : `/${database}`}`;
}

function parseLogin(login: string | undefined): Pick<RedisAddress, "user" | "password"> {
	if (login === undefined) return { user: "", password: "" };
	const colon = login.indexOf(":");
	try {
		const user = decodeURIComponent(colon < 0 ? login : login.slice(0, colon));
		return { user, password: colon < 0 ? "" : decodeURIComponent(login.slice(colon + 1)) };
	} catch {
		throw new RangeError("has a % in its user or password that begins no character; write %25 for a percent sign");
	}
}
