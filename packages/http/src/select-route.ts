import { isIPv6 } from "node:net";
import {
	type Affinity,
	type KnownNodes,
	NodeSelector,
	NoNode,
	type SelectableNode,
	type SelectionRequest,
	type SelectionRules,
	type SessionOutcome,
	type SessionRequest,
} from "@shardcast/selection";
import { plainAddress } from "./proxy/trusted-proxies.ts";
import { json, type Reply, refusal } from "./routing/reply.ts";
import type { HttpRequest } from "./routing/request.ts";
import type { AnswerRoute } from "./routing/route.ts";
import { noStore } from "./routing/router.ts";
import { type FindSessions, SessionBatches } from "./session-batches.ts";

interface NodeSelectionParts<N extends SelectableNode> {
	/** Null = this node works alone. May reject; the client gets the error's message. */
	readonly nodes: () => Promise<KnownNodes<N> | null>;
	/** Which nodes clients belong to. When it rejects, the client gets the node that the strategy has chosen. */
	readonly sessions: FindSessions;
	/** Read for each request. */
	readonly rules: () => {
		readonly selectStrategy: SelectionRules["strategy"];
		readonly selectRegion: SelectionRules["region"];
		readonly affinity: Affinity;
	};
	readonly nowMs: () => number;
}

/** A client that wants a node. */
export interface ClientRequest extends SelectionRequest {
	/** An id of the client for its connection, the same when it reconnects; "" = none. */
	readonly connection: string;
}

/** A session that an application assigns. It has a user, a connection, or both. */
export interface AssignRequest extends ClientRequest {
	/** The node that gets the session; "" = the one that has it, or else the one that the strategy chooses. */
	readonly node: string;
	/** JSON; "" = as before. */
	readonly metadata: string;
}

export interface AssignedSession<N> {
	readonly node: N;
	readonly outcome: SessionOutcome;
}

/** The application has named a node that is not there. */
export class UnknownNode extends Error {
	override readonly name = "UnknownNode";

	/** @param nodes those that there are; the message lists the first ones. */
	constructor(id: string, nodes: readonly { readonly id: string }[]) {
		const listed = nodes.slice(0, listedMax).map((node) => node.id);
		const more = nodes.length > listedMax ? [`${nodes.length - listedMax} more`] : [];
		super(`there is no node "${id.slice(0, 64)}"; there are ${[...listed, ...more].join(", ") || "none"}`);
	}
}
const listedMax = 20;

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
	readonly #sessions: SessionBatches;
	readonly #counts = { selected: 0, none: 0, failed: 0 };
	#known: Promise<KnownNodes<N> | null> | null = null;
	#askedMs = 0;

	constructor(parts: NodeSelectionParts<N>) {
		this.#parts = parts;
		this.#sessions = new SessionBatches({ ask: parts.sessions });
	}

	/** Since the start; failed = it did not learn which nodes there are. */
	get counts(): { readonly selected: number; readonly none: number; readonly failed: number } {
		return this.#counts;
	}

	/**
	 * Selects a node for a client: the one of its session, if `affinity` says so and that node can take it; otherwise by the strategy.
	 * @param needsUrl only nodes whose URL for clients is known.
	 * Rejects with NoNode when no node can take a client.
	 */
	async place(known: KnownNodes<N>, request: ClientRequest, needsUrl: boolean): Promise<N> {
		const { affinity } = this.#parts.rules();
		const chosen = this.#choose(known, request, needsUrl);
		const id = affinity === "user" ? request.user : affinity === "connection" ? request.connection : "";
		// A node that is cut off from the others cannot reach Redis either.
		if (id === "" || known.state !== "member") return chosen.node;
		const of = affinity === "user" ? "user" : "connection";
		return (await this.#follow(chosen, { of, id, address: request.address, metadata: "" })).node;
	}

	/**
	 * Assigns a session, or finds the one that there is. With a user and a connection, the session of the user decides, and that of the connection gets the
	 * same node. Rejects with NoNode, or UnknownNode.
	 */
	async assign(known: KnownNodes<N>, request: AssignRequest, needsUrl: boolean): Promise<AssignedSession<N>> {
		const { user, connection, address, metadata } = request;
		const given = known.nodes.find(({ id }) => id === request.node);
		if (request.node !== "" && given === undefined) throw new UnknownNode(request.node, known.nodes);
		const chosen = given === undefined ? this.#choose(known, request, needsUrl) : { node: given, able: [] };
		const about = { address, metadata };
		const first = await this.#follow(
			chosen,
			user !== "" ? { of: "user", id: user, ...about } : { of: "connection", id: connection, ...about },
		);
		if (user !== "" && connection !== "")
			await this.#follow({ node: first.node, able: [] }, { of: "connection", id: connection, ...about });
		return first;
	}

	/** By the strategy. @throws NoNode */
	#choose(known: KnownNodes<N>, request: ClientRequest, needsUrl: boolean): { readonly node: N; readonly able: readonly N[] } {
		const { selectStrategy, selectRegion, affinity } = this.#parts.rules();
		const strategy = affinity === "hash" ? "user_hash" : selectStrategy;
		const region = affinity === "region" ? "own" : selectRegion;
		const user = affinity === "hash" ? request.user || request.connection : request.user;
		try {
			const chosen = this.#selector.selectAmong(
				known,
				{ strategy, region, needsUrl },
				{ ...request, user, address: canonicalAddress(request.address) },
			);
			this.#counts.selected++;
			return chosen;
		} catch (error) {
			this.#counts.none++;
			throw error;
		}
	}

	async #follow(
		{ node: chosen, able }: { readonly node: N; readonly able: readonly N[] },
		session: Omit<SessionRequest, "node" | "follow">,
	): Promise<AssignedSession<N>> {
		const { node: id, outcome } = await this.#sessions.ask({ ...session, node: chosen.id, follow: able.map((each) => each.id) });
		const node = able.find((each) => each.id === id) ?? chosen;
		if (node !== chosen) this.#selector.moved(chosen, node);
		return { node, outcome };
	}

	/** `GET /cluster/select`: open to everybody, because a client needs it before it connects. It names only nodes that have a URL for clients. */
	readonly route: AnswerRoute = {
		kind: "answer",
		method: "GET",
		path: "/cluster/select",
		forPages: true,
		query: ["user", "connection", "region", "avoid"],
		answer: (request) => this.#answer(request),
	};

	async #answer(request: HttpRequest): Promise<Reply> {
		// Before it waits: the request is valid only until then.
		const asked = selectionRequest(request);
		if (typeof asked === "string") return refusal("bad_request", asked, { headers: noStore });
		try {
			const known = await this.#nodes();
			if (known === null) return refusal("not_found", "this machine works alone: it has no Redis (--redis-url)", { headers: noStore });
			const { id, url, region } = await this.place(known, asked, true);
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
function selectionRequest({ address, query }: HttpRequest): ClientRequest | string {
	const parameters = new URLSearchParams(query);
	const text = (name: string) => parameters.get(name) ?? "";
	const long = ["user", "connection", "region"].find((name) => text(name).length > textMax);
	if (long !== undefined) return `${long} has more than ${textMax} characters`;
	const avoid = parameters
		.getAll("avoid")
		.flatMap((ids) => ids.split(","))
		.filter((id) => id !== "");
	if (avoid.length > avoidedMax) return `avoid has more than ${avoidedMax} nodes`;
	return { address, user: text("user"), connection: text("connection"), region: text("region"), avoid };
}

/** An IPv6 address can be written in many ways; all must find the same node. */
export function canonicalAddress(address: string): string {
	const plain = plainAddress(address);
	return isIPv6(plain) && !plain.includes("%") ? new URL(`http://[${plain}]`).hostname : plain;
}

/** host:port of a node's URL. */
function addressOf(url: string): string {
	const { hostname, port, protocol } = new URL(url);
	return `${hostname}:${port || (protocol === "wss:" ? 443 : 80)}`;
}
