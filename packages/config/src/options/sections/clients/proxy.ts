import { parseEndpoint } from "../../../units/endpoint.ts";
import { parseHeaderName } from "../../../units/header.ts";
import { type Fields, field } from "../../kind.ts";
import { checkedText, choice, duration, headers, integer, list, size, text, toggle } from "../../kinds.ts";
import { emptyTable, type Item, objects, table } from "../../objects.ts";
import { option } from "../../option.ts";

const status = integer({ min: 300, max: 599 });
const errorFields = {
	code: field({ key: "code", kind: integer({ min: 0, max: 1999 }), default: 0, help: "100 to 1999; 0 = no error." }),
	message: field({
		key: "message",
		kind: text({ argument: "<text>", matches: /^.{0,256}$/u, expected: "one line of at most 256 characters" }),
		default: "",
		help: "Text for the client.",
	}),
	temporary: field({ key: "temporary", kind: toggle(), default: false, help: "The client may try again." }),
} as const satisfies Fields;
const disconnectFields = {
	code: field({ key: "code", kind: integer({ min: 0, max: 4999 }), default: 0, help: "3000 to 4999; 0 = the client stays connected." }),
	reason: field({
		key: "reason",
		kind: text({ argument: "<text>", matches: /^[ -~]{0,123}$/, expected: "at most 123 ASCII characters" }),
		default: "",
		help: "Text for the client.",
	}),
} as const satisfies Fields;
const transformFields = {
	statusCode: field({ key: "status_code", kind: status, help: "HTTP status of the backend's reply." }),
	toError: field({
		key: "to_error",
		kind: table({ fields: errorFields }),
		default: emptyTable(errorFields),
		help: "Error that the client gets.",
	}),
	toDisconnect: field({
		key: "to_disconnect",
		kind: table({ fields: disconnectFields }),
		default: emptyTable(disconnectFields),
		help: "Code and reason with which the client is closed.",
	}),
} as const satisfies Fields;

/** The error or disconnect that a status other than 200 stands for. */
export type StatusTransform = Item<typeof transformFields>;

const pemText = text({ argument: "<pem>", matches: /^[^\0]*$/, expected: "PEM, PEM in Base64, or the path of a file with PEM" });
const pem = (key: string, help: string) => field({ key, kind: pemText, default: "", help });
const hidden = {
	...pemText,
	secret: true,
	show: (value: string) => (value === "" ? "not set" : "set (hidden)"),
	toFile: () => undefined,
};

const tlsFields = {
	enabled: field({ key: "enabled", kind: toggle(), default: false, help: "Use the other options of http.tls." }),
	serverCa: pem(
		"server_ca_pem",
		"Certificates that are trusted instead of the usual ones; PEM, PEM in Base64, or the path of a file with PEM, which is read again when an option changes.",
	),
	cert: pem("cert_pem", "Certificate that shardcast shows the backend, in one of the same forms; it needs key_pem."),
	key: field({ key: "key_pem", kind: hidden, default: "", help: "Private key of that certificate, in one of the same forms." }),
	serverName: field({
		key: "server_name",
		kind: text({ argument: "<name>", matches: /^[-a-zA-Z0-9.]{0,253}$/, expected: "the name of a host" }),
		default: "",
		help: "Name that the backend's certificate must have; empty = the host name in the endpoint.",
	}),
} as const satisfies Fields;

/** How the connection to a backend is secured. */
export type ProxyTlsOptions = Item<typeof tlsFields>;

const httpFields = {
	tls: field({
		key: "tls",
		kind: table({ fields: tlsFields, foreign: new Set(["client_ca_pem", "insecure_skip_verify"]) }),
		default: emptyTable(tlsFields),
		help: "TLS options for https:// endpoints.",
	}),
	staticHeaders: field({
		key: "static_headers",
		kind: headers(),
		default: {},
		help: "Headers added to each request. A forwarded header of the client takes precedence.",
	}),
	statusTransforms: field({
		key: "status_to_code_transforms",
		kind: objects({ fields: transformFields, identity: "statusCode" }),
		default: [],
		help: "Errors and disconnects for replies with a status other than 200; a status that is not listed is a failure.",
	}),
} as const satisfies Fields;

const names = (key: string, help: string) => field({ key, kind: list({ argument: "<names>", item: parseHeaderName }), default: [], help });

/** How requests to any backend are made: names and meaning as in Centrifugo v6, and three limits. */
const callFields = {
	endpoint: field({
		key: "endpoint",
		kind: checkedText({ argument: "<url>", check: parseEndpoint }),
		default: "",
		help: "URL to which requests are POSTed; redirects are not followed.",
	}),
	timeoutMs: field({
		key: "timeout",
		kind: duration({ minMs: 1, maxMs: 60_000 }),
		default: 1000,
		help: "Maximum time for the whole request; a later reply is a failure.",
	}),
	httpHeaders: names("http_headers", "Headers of the client's request that the backend gets."),
	emulatedHeaders: names(
		"emulated_headers",
		"Headers that a client gives in its connect command, as pages have to; the client can write anything into them.",
	),
	binaryEncoding: field({
		key: "binary_encoding",
		kind: toggle(),
		default: false,
		help: "Send data as b64data, for payloads that are not JSON.",
	}),
	includeConnectionMeta: field({
		key: "include_connection_meta",
		kind: toggle(),
		default: false,
		help: "Send the meta of the connection with each request.",
	}),
	http: field({
		key: "http",
		kind: table({ fields: httpFields }),
		default: emptyTable(httpFields),
		help: "Options for requests over HTTP.",
	}),
	concurrency: field({
		key: "max_requests",
		kind: integer({ min: 1, max: 10_000 }),
		default: 128,
		help: "Maximum concurrent requests per shard.",
	}),
	queueMax: field({
		key: "max_waiting",
		kind: integer({ min: 0, max: 1_000_000 }),
		default: 4096,
		help: "Maximum waiting requests per shard; one more is a failure.",
	}),
	replyBytesMax: field({
		key: "max_reply_size",
		kind: size({ minBytes: 64, maxBytes: 16 * 1024 * 1024 }),
		default: 1024 * 1024,
		help: "Maximum length of a reply; a longer one is a failure.",
	}),
} as const satisfies Fields;

/** For backends that decide about clients. RPC calls are not decisions: when they fail, there is no default answer. */
export const proxyFields = {
	...callFields,
	onFailure: field({
		key: "on_failure",
		kind: choice(["auto", "deny", "allow"]),
		default: "auto",
		help: "What a client gets when the backend fails: deny = error 100, and what expires ends; allow = what it would get without the hook, if the backend did not answer or answered with status 500 or above, and what expires continues for 60 s; auto = deny, but what expires continues for 60 s. RPC calls always get error 100.",
	}),
} as const satisfies Fields;

/** How requests to a backend are made. */
export type ProxyOptions = Item<typeof proxyFields>;
export type CallOptions = Item<typeof callFields>;

/** Centrifugo also supports gRPC. */
const foreign: ReadonlySet<string> = new Set(["grpc", "grpc_metadata"]);
const enabledFields = {
	enabled: field({ key: "enabled", kind: toggle(), default: false, help: "Use this backend." }),
	...proxyFields,
} as const;

export type EnabledProxyOptions = Item<typeof enabledFields>;

const namedFields = {
	name: field({
		key: "name",
		kind: text({ argument: "<name>", matches: /^[-a-zA-Z0-9_.]{2,64}$/, expected: "two to 64 letters, digits, - _ and ." }),
		help: "Name by which namespaces refer to it.",
	}),
	...proxyFields,
} as const satisfies Fields;

const plain = (flag: string, key: string, help: string) =>
	option({ flag, key, kind: table({ fields: proxyFields, foreign }), default: emptyTable(proxyFields), live: true, help });
const enabled = (flag: string, key: string, help: string) =>
	option({ flag, key, kind: table({ fields: enabledFields, foreign }), default: emptyTable(enabledFields), live: true, help });

/** In section `client`. */
export const clientProxyOptions = {
	connectProxy: enabled(
		"client-proxy-connect",
		"proxy.connect",
		"The backend that is asked when a client of the Centrifuge protocol connects without a token: who it is, and what it is subscribed to.",
	),
	refreshProxy: enabled(
		"client-proxy-refresh",
		"proxy.refresh",
		"The backend that is asked when a connection expires; clients do not refresh their tokens then.",
	),
} as const;

/** In section `channel`. */
export const channelProxyOptions = {
	subscribeProxy: plain(
		"channel-proxy-subscribe",
		"proxy.subscribe",
		"The backend that is asked about subscriptions in namespaces with subscribe_proxy_enabled.",
	),
	publishProxy: plain(
		"channel-proxy-publish",
		"proxy.publish",
		"The backend that is asked about publications of clients in namespaces with publish_proxy_enabled.",
	),
	subRefreshProxy: plain(
		"channel-proxy-sub-refresh",
		"proxy.sub_refresh",
		"The backend that is asked when a subscription expires, in namespaces with sub_refresh_proxy_enabled.",
	),
} as const;

/** Channel hooks by name: the namespace options that switch a hook on and name its backend, and the option of the backend that needs no name. */
export const channelHooks = {
	subscribe: { enabled: "subscribeProxyEnabled", name: "subscribeProxyName", own: "subscribeProxy", path: "channel.proxy.subscribe" },
	publish: { enabled: "publishProxyEnabled", name: "publishProxyName", own: "publishProxy", path: "channel.proxy.publish" },
	sub_refresh: {
		enabled: "subRefreshProxyEnabled",
		name: "subRefreshProxyName",
		own: "subRefreshProxy",
		path: "channel.proxy.sub_refresh",
	},
} as const;

/** The proxy that is configured beside the others of its kind, rather than in `proxies`. */
export const defaultProxy = "default";

export const proxyName = (key: string, help: string) =>
	field({
		key,
		kind: text({ argument: "<name>", matches: /^[-a-zA-Z0-9_.]{2,64}$/, expected: "the name of one of proxies, or default" }),
		default: defaultProxy,
		help,
	});

const rpcFields = {
	proxyEnabled: field({ key: "proxy_enabled", kind: toggle(), default: false, help: "Send calls to a backend." }),
	proxyName: proxyName("proxy_name", "Which one of proxies; default = rpc.proxy."),
} as const satisfies Fields;

const rpcNamespaceFields = {
	name: field({
		key: "name",
		kind: text({ argument: "<name>", matches: /^[-a-zA-Z0-9_.]{2,}$/, expected: "two or more of letters, digits, - _ and ." }),
		help: "Name of the namespace: the part of its methods' names before the first colon.",
	}),
	...rpcFields,
} as const satisfies Fields;

/** Section `rpc`. */
export const rpcOptions = {
	rpcProxy: option({
		flag: "rpc-proxy",
		key: "proxy",
		kind: table({ fields: callFields, foreign }),
		default: emptyTable(callFields),
		live: true,
		help: "Backend for RPC calls.",
	}),
	rpcWithoutNamespace: option({
		flag: "rpc-without-namespace",
		key: "without_namespace",
		kind: table({ fields: rpcFields }),
		default: emptyTable(rpcFields),
		live: true,
		help: "Options of methods without a namespace: proxy_enabled and proxy_name.",
	}),
	rpcNamespaces: option({
		flag: "rpc-namespaces",
		key: "namespaces",
		kind: objects({ identity: "name", fields: rpcNamespaceFields }),
		default: [],
		live: true,
		help: "Namespaces: options of the methods whose names begin with the name of the namespace and a colon; a list of objects with name, proxy_enabled and proxy_name.",
	}),
	rpcNamespaceBoundary: option({
		flag: "rpc-namespace-boundary",
		key: "namespace_boundary",
		kind: text({ argument: "<text>", matches: /^[!-~]{0,16}$/, expected: "0 to 16 visible ASCII characters" }),
		default: ":",
		live: true,
		help: "Separator between namespace and method; empty = there are no namespaces.",
	}),
} as const;

/** The list `proxies`, which is a section by itself. */
export const proxiesOptions = {
	proxies: option({
		flag: "proxies",
		key: "",
		kind: objects({ identity: "name", fields: namedFields, foreign }),
		default: [],
		live: true,
		help: "More backends, each with a name by which namespaces refer to it.",
	}),
} as const;
