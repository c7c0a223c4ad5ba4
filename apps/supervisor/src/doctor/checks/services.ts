import { connect } from "node:net";
import { type Config, type ConfigKey, filePath, hostPortText, parsePostgresAddress, parseRedisAddress } from "@shardcast/config";
import { type Finding, ok, problem, type Subject, warning } from "../finding.ts";
import type { Machine } from "../machine.ts";

/** A program that the configuration names. */
interface Service {
	readonly what: string;
	readonly host: string;
	readonly port: number;
	/** The option that names it. */
	readonly option: string;
	/** Without it the server does not do its work; otherwise a part of it is missing. */
	readonly isVital: boolean;
}

/** More are left out, and the report says so. */
const servicesMax = 64;

/** Whether the programs that the configuration names can be reached over TCP. Does not log in, and sends nothing. */
export async function serviceFindings(config: Config, { reachMs }: Machine): Promise<Finding[]> {
	const all = servicesOf(config);
	const results = await Promise.all(
		all.slice(0, servicesMax).map(async (service) => finding(service, await reachProblem(service, reachMs))),
	);
	if (all.length <= servicesMax) return results;
	const rest: Subject = { id: "services", area: "services", why: "each takes a connection" };
	return [...results, warning(rest, `only the first ${servicesMax} of ${all.length} services were looked at`, "check the others by hand")];
}

function finding(service: Service, why: string | null): Finding {
	const { what, option, isVital } = service;
	const place = hostPortText(service);
	const subject: Subject = { id: `service:${place}`, area: "services", why: `${option} names it: ${what}` };
	if (why === null) return ok(subject, `${what} at ${place} accepts connections`);
	const fix = `start it, open the firewall, or correct ${option}`;
	return (isVital ? problem : warning)(subject, `${what} at ${place} can't be reached: ${why}`, fix);
}

/** Each place once. */
function servicesOf(config: Config): Service[] {
	const services: Service[] = [];
	const add = (service: Service): void => {
		if (!services.some(({ host, port }) => host === service.host && port === service.port)) services.push(service);
	};
	for (const broker of config.kafkaBrokers) {
		const colon = broker.lastIndexOf(":");
		add({
			what: "a Kafka broker",
			host: broker.slice(0, colon),
			port: Number(broker.slice(colon + 1)),
			option: filePath("kafkaBrokers"),
			isVital: true,
		});
	}
	if (config.redisAddress !== undefined)
		for (const { host, port } of parseRedisAddress(config.redisAddress).nodes)
			add({ what: "Redis", host, port, option: filePath("redisAddress"), isVital: true });
	if (config.postgresAddress !== undefined) {
		const { host, port } = parsePostgresAddress(config.postgresAddress);
		add({ what: "PostgreSQL", host, port, option: filePath("postgresAddress"), isVital: true });
	}
	for (const [what, option, endpoint] of endpointsOf(config)) {
		// A part of the address may depend on the token.
		if (endpoint === "" || !URL.canParse(endpoint) || endpoint.includes("{{")) continue;
		const { hostname, port, protocol } = new URL(endpoint);
		const host = hostname.replace(/^\[(.*)\]$/, "$1");
		add({ what, host, port: Number(port) || (protocol === "https:" ? 443 : 80), option, isVital: false });
	}
	return services;
}

function endpointsOf(config: Config): (readonly [what: string, option: string, endpoint: string])[] {
	const hooks = [
		"connectProxy",
		"refreshProxy",
		"subscribeProxy",
		"publishProxy",
		"subRefreshProxy",
		"rpcProxy",
	] as const satisfies ConfigKey[];
	const keySets = ["tokenJwksEndpoint", "subscriptionTokenJwksEndpoint"] as const satisfies ConfigKey[];
	const isOff = (hook: object) => "enabled" in hook && hook.enabled === false;
	return [
		...hooks.flatMap((key) => (isOff(config[key]) ? [] : [["your backend", filePath(key), config[key].endpoint] as const])),
		...config.proxies.map(({ name, endpoint }) => ["your backend", `${filePath("proxies")}[${name}]`, endpoint] as const),
		...config.webhooks.map(({ name, endpoint }) => ["a receiver of webhooks", `${filePath("webhooks")}[${name}]`, endpoint] as const),
		...keySets.map((key) => ["a set of keys for tokens", filePath(key), config[key]] as const),
	];
}

/** Why no connection can be made; null if one can. */
function reachProblem({ host, port }: Service, reachMs: number): Promise<string | null> {
	return new Promise((resolve) => {
		const socket = connect({ host, port });
		const timer = setTimeout(() => end(`no answer within ${reachMs / 1000} s`), reachMs);
		const end = (why: string | null): void => {
			clearTimeout(timer);
			socket.destroy();
			resolve(why);
		};
		socket.once("connect", () => end(null));
		socket.once("error", (error: NodeJS.ErrnoException) => end(reasons[error.code ?? ""] ?? error.code ?? error.message));
	});
}

const reasons: Readonly<Record<string, string>> = {
	ECONNREFUSED: "nothing listens there",
	ENOTFOUND: "its name is not known",
	EAI_AGAIN: "the name server does not answer",
	EHOSTUNREACH: "there is no route to it",
	ENETUNREACH: "there is no route to it",
};
