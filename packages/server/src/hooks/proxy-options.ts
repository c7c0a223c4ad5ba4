import { readFileSync } from "node:fs";
import type { ProxyOptions, ProxyTlsOptions, StatusTransform } from "@shardcast/config";
import type { BackendOptions, BackendTls } from "../backend/backend.ts";
import type { HookOptions, StatusMeaning } from "./hook.ts";

/** How a backend is called, from its options. @throws Error when a file that they name cannot be read. */
export function backendOptions(name: string, proxy: ProxyOptions): BackendOptions {
	const { endpoint, timeoutMs, concurrency, queueMax, replyBytesMax, http } = proxy;
	return { name, endpoint, timeoutMs, concurrency, queueMax, replyBytesMax, tls: tlsOf(http.tls, name) };
}

function tlsOf({ enabled, serverCa, cert, key, serverName }: ProxyTlsOptions, name: string): BackendTls {
	if (!enabled) return {};
	const pem = (field: string, value: string) => (value === "" ? {} : { [field]: pemOf(value, `http.tls of the proxy ${name}`) });
	return { ...pem("ca", serverCa), ...pem("cert", cert), ...pem("key", key), ...(serverName !== "" && { servername: serverName }) };
}

/** PEM as it is, or what stands in the file of this name. @throws Error */
function pemOf(value: string, place: string): string {
	if (value.includes("-----BEGIN")) return value;
	try {
		return readFileSync(value, "utf8");
	} catch (error) {
		throw new Error(`${place}: the file ${value} cannot be read (${(error as NodeJS.ErrnoException).code}); give another`);
	}
}

/** What it is told, and what its answers stand for. */
export function hookOptions({ httpHeaders, emulatedHeaders, http, binaryEncoding, includeConnectionMeta }: ProxyOptions): HookOptions {
	const lower = (names: readonly string[]) => names.map((name) => name.toLowerCase());
	return {
		headers: {
			ofRequest: lower(httpHeaders),
			emulated: lower(emulatedHeaders),
			fixed: Object.fromEntries(Object.entries(http.staticHeaders).map(([name, value]) => [name.toLowerCase(), value])),
		},
		isBinary: binaryEncoding,
		includesMeta: includeConnectionMeta,
		statuses: new Map(http.statusTransforms.flatMap(meaningOf)),
	};
}

function meaningOf({ statusCode, toError, toDisconnect }: StatusTransform): [number, StatusMeaning][] {
	if (toDisconnect.code > 0) return [[statusCode, { disconnect: toDisconnect }]];
	return toError.code > 0 ? [[statusCode, { error: toError }]] : [];
}
