import type { Config } from "../options/options.ts";
import { type BackendTls, type BackendTlsProblem, readBackendTls } from "./backend-tls.ts";

/** How an edge reaches nodes, or a balancer remote shards, that have TLS. */
export interface NodesTls extends Pick<BackendTls, "ca" | "servername"> {
	readonly verify: boolean;
}

/** Reads the file of the CA now. Null = the nodes are reached without TLS. */
export function readNodesTls(
	config: Pick<Config, "edgeNodesTls" | "edgeNodesTlsCa" | "edgeNodesTlsName" | "edgeNodesTlsVerify">,
): NodesTls | { readonly problem: BackendTlsProblem } | null {
	if (!config.edgeNodesTls) return null;
	const tls = readBackendTls({ enabled: true, serverCa: config.edgeNodesTlsCa, cert: "", key: "", serverName: config.edgeNodesTlsName });
	return "problem" in tls ? tls : { ...tls, verify: config.edgeNodesTlsVerify };
}

/** The same for remote shards, whose certificates are always verified. */
export function readRemoteTls(
	config: Pick<Config, "remoteTls" | "remoteTlsCa" | "remoteTlsName">,
): NodesTls | { readonly problem: BackendTlsProblem } | null {
	if (!config.remoteTls) return null;
	const tls = readBackendTls({ enabled: true, serverCa: config.remoteTlsCa, cert: "", key: "", serverName: config.remoteTlsName });
	return "problem" in tls ? tls : { ...tls, verify: true };
}
