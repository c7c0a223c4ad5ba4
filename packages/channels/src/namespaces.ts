import { type ChannelOptions, type Config, type ConfigKey, optionOf, parseRegex } from "@shardcast/config";
import { ErrorCode } from "@shardcast/protocol";
import type { Channel, ChannelHistory, PublicationRules, SlowClientRule } from "./channel.ts";

/** The options that `Namespaces` uses. */
export const namespaceKeys = [
	"channelWithoutNamespace",
	"channelNamespaces",
	"channelHistoryMetaTtlMs",
	"channelPublicationDataFormat",
	"channelSlowClient",
	"channelSlowClientKeyTag",
	"channelLengthMax",
	"channelPrivatePrefix",
	"channelNamespaceBoundary",
	"channelUserBoundary",
	"channelUserSeparator",
] as const satisfies readonly ConfigKey[];

type NamespacesConfig = Pick<Config, (typeof namespaceKeys)[number]>;

/** What all channels of one namespace share. */
interface Namespace {
	readonly options: ChannelOptions;
	readonly history: ChannelHistory | null;
	readonly mayBeEmpty: boolean;
	readonly publications: PublicationRules | null;
	readonly slowClient: SlowClientRule;
	readonly regex: RegExp | null;
}

/** The number of names in the cache. When it is full, the half that was not used recently is dropped. */
const namesMax = 16_384;
/** The most segments of a pattern, which bounds the paths through the tree of patterns. */
const patternPartsMax = 8;
const anyPart = "*";
const ascii = /^[\0-\x7f]*$/;

/**
 * Finds the namespace and the options of a channel. Immutable: new options need a new instance. Never throws.
 *
 * Used for every publication: 13 ns for a name in the cache, 0.6 µs for any other.
 */
export class Namespaces {
	/** Whether any channel keeps a history. */
	readonly keepHistory: boolean;
	readonly #config: NamespacesConfig;
	readonly #without: Namespace;
	readonly #named: ReadonlyMap<string, Namespace>;
	/** Whether any namespace restricts its publications. */
	readonly hasPublicationRules: boolean;
	/** Whether any namespace lets publications be dropped for slow clients. */
	readonly mayDrop: boolean;
	/** Stands for messages without a channel: has the options of channels without a namespace. */
	readonly everybody: Channel;
	#recent = new Map<string, Channel>();
	#older = new Map<string, Channel>();

	/** @param config must be valid. */
	constructor(config: NamespacesConfig) {
		const namespace = (options: ChannelOptions) => namespaceOf(options, config);
		this.#config = config;
		this.#without = namespace(config.channelWithoutNamespace);
		this.#named = new Map(config.channelNamespaces.map((options) => [options.name, namespace(options)]));
		this.keepHistory = [this.#without, ...this.#named.values()].some(({ history }) => history !== null);
		this.mayDrop = [this.#without, ...this.#named.values()].some(({ slowClient }) => slowClient.policy !== "disconnect");
		const { options, slowClient } = this.#without;
		this.everybody = Object.freeze({ ...refused("", "", ErrorCode.badRequest), error: null, options, slowClient });
		this.hasPublicationRules = [this.#without, ...this.#named.values()].some(({ publications }) => publications !== null);
	}

	of(name: string): Channel {
		return this.#recent.get(name) ?? this.#recall(name);
	}

	/**
	 * The segments that patterns are matched by: the namespace with the private prefix, then the segments of the rest. Null = no pattern can
	 * match this name: it is invalid, or limited to users.
	 */
	segments(name: string): readonly string[] | null {
		const { channelUserBoundary: boundary } = this.#config;
		if (this.of(name).error !== null || (boundary !== "" && name.includes(boundary))) return null;
		return this.#parts(name);
	}

	#parts(name: string): readonly string[] {
		const { channelPrivatePrefix: prefix } = this.#config;
		const isPrivate = prefix !== "" && name.startsWith(prefix);
		const [namespace, rest] = this.#split(name);
		const inner = namespace === "" && isPrivate ? rest.slice(prefix.length) : rest;
		return [`${isPrivate ? prefix : ""}${namespace}`, ...inner.split(".")];
	}

	#recall(name: string): Channel {
		const channel = this.#older.get(name) ?? this.#resolve(name);
		// An invalid name may have any length.
		if (name.length > this.#config.channelLengthMax) return channel;
		if (this.#recent.size >= namesMax / 2) {
			this.#older = this.#recent;
			this.#recent = new Map();
		}
		this.#recent.set(name, channel);
		return channel;
	}

	#resolve(name: string): Channel {
		const { channelLengthMax, channelPrivatePrefix: prefix } = this.#config;
		if (name === "" || Buffer.byteLength(name) > channelLengthMax) return refused(name, "", ErrorCode.badRequest);
		const [namespaceName, rest] = this.#split(name);
		const namespace = namespaceName === "" ? this.#without : this.#named.get(namespaceName);
		if (namespace === undefined) return refused(name, namespaceName, ErrorCode.unknownChannel);
		const { options, history, mayBeEmpty, publications, slowClient, regex } = namespace;
		if (!(regex === null ? ascii.test(name) : regex.test(rest))) return refused(name, namespaceName, ErrorCode.badRequest);
		const needsToken = prefix !== "" && name.startsWith(prefix);
		const users = options.allowUserLimitedChannels ? this.#usersIn(name) : null;
		const parts = name.includes(anyPart) ? this.#parts(name) : [];
		const isPattern = parts.includes(anyPart, 1);
		if (isPattern && parts.length - 1 > patternPartsMax) return refused(name, namespaceName, ErrorCode.badRequest);
		return Object.freeze({
			name,
			namespace: namespaceName,
			error: null,
			options,
			history,
			mayBeEmpty,
			publications,
			slowClient,
			isPattern,
			needsToken,
			users,
		});
	}

	/** "$chat:room:1" → "chat" and "room:1"; without a namespace, "" and the whole name. */
	#split(name: string): readonly [namespace: string, rest: string] {
		const { channelNamespaceBoundary: boundary, channelPrivatePrefix: prefix } = this.#config;
		if (boundary === "") return ["", name];
		const start = name.startsWith(prefix) ? prefix.length : 0;
		const end = name.indexOf(boundary, start);
		return end < 0 ? ["", name] : [name.slice(start, end), name.slice(end + boundary.length)];
	}

	/** "dialog#42,17" → 42 and 17. Only the part after the last boundary counts. */
	#usersIn(name: string): readonly string[] | null {
		const { channelUserBoundary: boundary, channelUserSeparator: separator } = this.#config;
		const at = boundary === "" ? -1 : name.lastIndexOf(boundary);
		if (at < 0) return null;
		const users = name.slice(at + boundary.length);
		return Object.freeze(separator === "" ? [users] : users.split(separator));
	}
}

function namespaceOf(options: ChannelOptions, config: NamespacesConfig): Namespace {
	const { historySize, historyTtlMs, historyMetaTtlMs, channelRegex } = options;
	const history =
		historySize === 0
			? null
			: Object.freeze({
					size: historySize,
					ttlMs: historyTtlMs,
					metaTtlMs: historyMetaTtlMs || config.channelHistoryMetaTtlMs,
					delta: options.deltaPublish,
				});
	const format = options.publicationDataFormat || config.channelPublicationDataFormat;
	const publications = rulesOf(options.publicationBytesMax, format === "json" || format === "json_object" ? format : "any");
	const slowClient = slowClientRule(options, config);
	const regex = channelRegex === "" ? null : parseRegex(channelRegex);
	return { options, history, mayBeEmpty: format === "binary", publications, slowClient, regex };
}

function slowClientRule({ slowClient, slowClientKeyTag }: ChannelOptions, config: NamespacesConfig): SlowClientRule {
	const policy = slowClient === "default" ? config.channelSlowClient : slowClient;
	return Object.freeze({ policy, keyTag: policy === "keep-latest" ? slowClientKeyTag || config.channelSlowClientKeyTag : "" });
}

function rulesOf(bytesMax: number, format: PublicationRules["format"]): PublicationRules | null {
	return bytesMax === 0 && format === "any" ? null : Object.freeze({ bytesMax: bytesMax || Number.POSITIVE_INFINITY, format });
}

const nothing = Object.freeze(optionOf("channelWithoutNamespace").default as ChannelOptions);
const closes: SlowClientRule = Object.freeze({ policy: "disconnect", keyTag: "" });

function refused(name: string, namespace: string, error: ErrorCode): Channel {
	return Object.freeze({
		name,
		namespace,
		error,
		options: nothing,
		history: null,
		mayBeEmpty: false,
		publications: null,
		slowClient: closes,
		isPattern: false,
		needsToken: false,
		users: null,
	});
}
