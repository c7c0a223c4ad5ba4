import {
	type BackendTls,
	type CallOptions,
	type ProxyOptions,
	type ProxyTlsOptions,
	readBackendTls,
	type StatusTransform,
} from "@shardcast/config";
import type { BackendOptions } from "../backend/backend.ts";
import type { HookOptions, StatusMeaning } from "./hook.ts";

/** The options of a `Backend`, from the configuration. @throws Error when the certificates of http.tls cannot be used. */
export function backendOptions(name: string, proxy: CallOptions): BackendOptions {
	const { endpoint, timeoutMs, concurrency, queueMax, replyBytesMax, http } = proxy;
	return { name, endpoint, timeoutMs, concurrency, queueMax, replyBytesMax, tls: tlsOf(http.tls, name) };
}

/** The options were checked when they were read; a file may have changed since. */
function tlsOf(options: ProxyTlsOptions, name: string): BackendTls {
	const tls = readBackendTls(options);
	if ("problem" in tls) throw new Error(`http.tls.${tls.problem.option} of the proxy ${name}: ${tls.problem.text}`);
	return tls;
}

/** What its requests contain, and how its replies are read. */
export function hookOptions(proxy: CallOptions & Partial<Pick<ProxyOptions, "onFailure">>): HookOptions {
	const { httpHeaders, emulatedHeaders, http, binaryEncoding, includeConnectionMeta, onFailure = "auto" } = proxy;
	const lower = (names: readonly string[]) => names.map((name) => name.toLowerCase());
	return {
		headers: {
			ofRequest: lower(httpHeaders),
			emulated: lower(emulatedHeaders),
			fixed: Object.fromEntries(Object.entries(http.staticHeaders).map(([name, value]) => [name.toLowerCase(), value])),
		},
		isBinary: binaryEncoding,
		includesMeta: includeConnectionMeta,
		onFailure,
		statuses: new Map(http.statusTransforms.flatMap(meaningOf)),
	};
}

function meaningOf({ statusCode, toError, toDisconnect }: StatusTransform): [number, StatusMeaning][] {
	if (toDisconnect.code > 0) return [[statusCode, { disconnect: toDisconnect }]];
	return toError.code > 0 ? [[statusCode, { error: toError }]] : [];
}
