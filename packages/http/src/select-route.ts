import { isIPv6 } from "node:net";
import {
	type KnownNodes,
	NodeSelector,
	NoNode,
	type SelectableNode,
	type SelectionRequest,
	type SelectionRules,
} from "@shardcast/selection";
import { plainAddress } from "./proxy/trusted-proxies.ts";
import { json, type Reply, refusal } from "./routing/reply.ts";
import type { HttpRequest } from "./routing/request.ts";
import type { AnswerRoute } from "./routing/route.ts";
import { noStore } from "./routing/router.ts";

interface NodeSelectionParts<N extends SelectableNode> {
	/** Null = this node works alone. May reject; the client gets the error's message. */
	readonly nodes: () => Promise<KnownNodes<N> | null>;
	/** Read for each request. */
	readonly rules: () => { readonly selectStrategy: SelectionRules["strategy"]; readonly selectRegion: SelectionRules["region"] };
	readonly nowMs: () => number;
}

/** Nodes are looked up again after this time. They send heartbeats less often. */
const freshMs = 200;
const textMax = 256;
const avoidedMax = 16;

/**
 * Selects nodes for clients, in a balancer, a shard or a library's server. One per process. The nodes are looked up at most once every `freshMs`, so
 * many requests cost little more than one: a request that finds them takes some microseconds.
 */
export class NodeSelection<N extends SelectableNode> {
	readonly #parts: NodeSelectionParts<N>;
	readonly #selector = new NodeSelector();
	readonly #counts = { selected: 0, none: 0, failed: 0 };
	#known: Promise<KnownNodes<N> | null> | null = null;
	#askedMs = 0;

	constructor(parts: NodeSelectionParts<N>) {
		this.#parts = parts;
	}

	/** Since the start; failed = it did not learn which nodes there are. */
	get counts(): { readonly selected: number; readonly none: number; readonly failed: number } {
		return this.#counts;
	}

	/**
	 * @param needsUrl only nodes whose URL for clients is known.
	 * @throws NoNode when no node can take a client.
	 */
	select(known: KnownNodes<N>, request: SelectionRequest, needsUrl: boolean): N {
		const { selectStrategy: strategy, selectRegion: region } = this.#parts.rules();
		const address = canonical(request.address);
		try {
			const node = this.#selector.select(known, { strategy, region, needsUrl }, { ...request, address });
			this.#counts.selected++;
			return node;
		} catch (error) {
			this.#counts.none++;
			throw error;
		}
	}

	/** `GET /cluster/select`: open to everybody, because a client needs it before it connects. It names only nodes that have a URL for clients. */
	readonly route: AnswerRoute = {
		kind: "answer",
		method: "GET",
		path: "/cluster/select",
		forPages: true,
		query: ["user", "region", "avoid"],
		answer: (request) => this.#answer(request),
	};

	async #answer(request: HttpRequest): Promise<Reply> {
		// Before it waits: the request is valid only until then.
		const asked = selectionRequest(request);
		if (typeof asked === "string") return refusal("bad_request", asked, { headers: noStore });
		try {
			const known = await this.#nodes();
			if (known === null) return refusal("not_found", "this machine works alone: it has no Redis (--redis-url)", { headers: noStore });
			const { id, url, region } = this.select(known, asked, true);
			const isAlone = known.state !== "member";
			return json(200, { id, address: addressOf(url), url, region, ...(isAlone && { alone: true }) }, noStore);
		} catch (error) {
			if (error instanceof NoNode) return refusal("no_node", error.message, { headers: noStore });
			this.#counts.failed++;
			return refusal("unavailable", (error as Error).message, { headers: noStore });
		}
	}

	#nodes(): Promise<KnownNodes<N> | null> {
		const nowMs = this.#parts.nowMs();
		if (this.#known !== null && nowMs - this.#askedMs < freshMs) return this.#known;
		this.#askedMs = nowMs;
		this.#known = this.#parts.nodes();
		return this.#known;
	}
}

/** A sentence if the request is invalid. */
function selectionRequest({ address, query }: HttpRequest): SelectionRequest | string {
	const parameters = new URLSearchParams(query);
	const text = (name: string) => parameters.get(name) ?? "";
	const long = ["user", "region"].find((name) => text(name).length > textMax);
	if (long !== undefined) return `${long} has more than ${textMax} characters`;
	const avoid = parameters
		.getAll("avoid")
		.flatMap((ids) => ids.split(","))
		.filter((id) => id !== "");
	if (avoid.length > avoidedMax) return `avoid has more than ${avoidedMax} nodes`;
	return { address, user: text("user"), region: text("region"), avoid };
}

/** An IPv6 address can be written in many ways; all must find the same node. */
function canonical(address: string): string {
	const plain = plainAddress(address);
	return isIPv6(plain) && !plain.includes("%") ? new URL(`http://[${plain}]`).hostname : plain;
}

/** host:port of a node's URL. */
function addressOf(url: string): string {
	const { hostname, port, protocol } = new URL(url);
	return `${hostname}:${port || (protocol === "wss:" ? 443 : 80)}`;
}
