import { readBackendTls } from "../../tls/backend-tls.ts";
import type { Config } from "../options.ts";
import { channelFields } from "../sections/clients/channel.ts";
import { type CallOptions, channelHooks, defaultProxy } from "../sections/clients/proxy.ts";
import type { NameOf, Rule } from "./check.ts";

/** Whether a backend is given that a namespace names; what is wrong, or null. @param own where the one that needs no name stands. */
function missing(config: Config, name: string, own: { readonly endpoint: string; readonly path: string }): string | null {
	if (name === defaultProxy) return own.endpoint === "" ? `there is no backend to ask; give ${own.path}.endpoint` : null;
	const named = config.proxies.find((proxy) => proxy.name === name);
	if (named === undefined) return `there is no proxy "${name}"; add it to proxies`;
	return named.endpoint === "" ? `the proxy "${name}" has no endpoint; give it one` : null;
}

function channelProxies(config: Config, name: NameOf): string[] {
	const places = [
		{ key: "channelWithoutNamespace", options: config.channelWithoutNamespace, way: [] },
		...config.channelNamespaces.map((options, index) => ({ key: "channelNamespaces", options, way: [index] }) as const),
	] as const;
	return places.flatMap(({ key, options, way }) =>
		Object.values(channelHooks).flatMap((kind) => {
			if (!options[kind.enabled]) return [];
			const why = missing(config, options[kind.name], { endpoint: config[kind.own].endpoint, path: kind.path });
			return why === null ? [] : [`${name(key, [...way, channelFields[kind.enabled].key])}: ${why}`];
		}),
	);
}

function rpcProxies(config: Config, name: NameOf): string[] {
	const places = [
		{ key: "rpcWithoutNamespace", options: config.rpcWithoutNamespace, way: [] },
		...config.rpcNamespaces.map((options, index) => ({ key: "rpcNamespaces", options, way: [index] }) as const),
	] as const;
	return places.flatMap(({ key, options, way }) => {
		if (!options.proxyEnabled) return [];
		const why = missing(config, options.proxyName, { endpoint: config.rpcProxy.endpoint, path: "rpc.proxy" });
		return why === null ? [] : [`${name(key, [...way, "proxy_enabled"])}: ${why}`];
	});
}

const ownKeys = ["connectProxy", "refreshProxy", ...Object.values(channelHooks).map(({ own }) => own), "rpcProxy"] as const;

function certificates(config: Config, name: NameOf): string[] {
	const places = [
		...ownKeys.map((key) => ({ key, proxy: config[key], way: [] })),
		...config.proxies.map((proxy, index) => ({ key: "proxies", proxy, way: [index] }) as const),
	] satisfies { proxy: CallOptions }[];
	return places.flatMap(({ key, proxy, way }) => {
		const tls = readBackendTls(proxy.http.tls);
		return "problem" in tls ? [`${name(key, [...way, "http", "tls", tls.problem.option])}: ${tls.problem.text}`] : [];
	});
}

/** Every backend that is to be asked has an address, and the certificates for it can be used. */
export const proxyRules: readonly Rule[] = [
	function clientProxiesHaveAnEndpoint(config, name) {
		const kinds = [
			["connectProxy", config.connectProxy],
			["refreshProxy", config.refreshProxy],
		] as const;
		return kinds.flatMap(([key, { enabled, endpoint }]) =>
			enabled && endpoint === "" ? [`${name(key, ["enabled"])}: there is no backend to ask; give the endpoint as well`] : [],
		);
	},
	channelProxies,
	rpcProxies,
	certificates,
];
