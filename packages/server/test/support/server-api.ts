import type { MessageDetails } from "@shardcast/bus";
import { ChannelLog } from "@shardcast/channel-log";
import { Namespaces } from "@shardcast/channels";
import { type Config, defaultConfig } from "@shardcast/config";
import type { Ask } from "@shardcast/control";
import { type BodyRoute, type HttpRequest, type Reply, UnknownNode } from "@shardcast/http";
import { NoNode } from "@shardcast/selection";
import { publishAccepted, publishFull } from "@shardcast/wire";
import { ApiAccess } from "../../src/http/api-access.ts";
import { ServerApi } from "../../src/http/server-api.ts";

const plain = defaultConfig().channelWithoutNamespace;

/** The server API with shards that answer everything with `answer`. */
export function serverApi(answer: unknown = 1, key: string | null = "a-secret-key", apiKeys: Config["apiKeys"] = []) {
	const texts: string[] = [];
	const asked: { name: string; request: unknown }[] = [];
	const ask: Ask = async (question, request) => {
		asked.push({ name: question.name, request });
		if (answer instanceof Error) throw answer;
		return answer as never;
	};
	const namespaces = new Namespaces({
		...defaultConfig(),
		channelNamespaces: [{ ...plain, name: "chat", presence: true, historySize: 10, historyTtlMs: 60_000 }],
	});
	const access = new ApiAccess({ config: defaultConfig({ apiKey: key ?? undefined, apiKeys }) });
	const published: { channels: readonly string[]; text: string; details: MessageDetails | undefined }[] = [];
	const direct: object[] = [];
	const audited: object[] = [];
	const assigned: object[] = [];
	const log = ChannelLog.inMemory({ memoryBytes: 1_048_576 });
	const api = new ServerApi({
		namespaces: () => namespaces,
		access,
		ask,
		incoming: {
			publish: (_kind, { names }, payload, _from, _source, details) => {
				published.push({ channels: names, text: Buffer.from(payload).toString(), details });
				if (names[0] === "full") return { outcome: "full" };
				return names[0] === "kept" ? { outcome: "accepted", position: { offset: 7, epoch: "e" } } : publishAccepted;
			},
			direct: ({ user, payload, ...how }) => {
				direct.push({ user, text: Buffer.from(payload).toString(), ...how });
				return user === "full" ? publishFull : publishAccepted;
			},
		},
		rate: { take: () => true },
		counters: { add: () => {} },
		payloadBytesMax: 100,
		publishBytesMax: 100_000,
		historyLimit: () => 2,
		selection: {
			assign: async (known, request) => {
				assigned.push(request);
				if (request.node === "n9") throw new UnknownNode("n9", known.nodes);
				if (request.region === "full") throw new NoNode(new Map([["full", 2]]));
				return { node: known.nodes[0]!, outcome: "new" };
			},
		},
		audit: (fields) => audited.push(fields),
		histories: log,
		log,
		nowMs: () => 0,
	});
	const post = async (method: string, body: unknown, given = "a-secret-key", headers: Readonly<Record<string, string>> = {}) => {
		const route = api.routes.find(({ path }) => path === (method === "" ? "/api" : `/api/${method}`)) as BodyRoute;
		const request: HttpRequest = {
			method: "POST",
			path: route.path,
			query: "",
			address: "",
			header: (name) => (name === "x-api-key" ? given : (headers[name] ?? "")),
		};
		const begun = route.begin(request);
		const text = typeof body === "string" ? body : JSON.stringify(body);
		const reply = (typeof begun === "function" ? await begun(Buffer.from(text)) : begun) as Reply;
		const answer = Buffer.from(reply.body as string).toString();
		texts.push(answer);
		// To `POST /api`, lines.
		const isLines = method === "" && reply.status === 200;
		const parsed: unknown = isLines ? answer.split("\n").map((line) => JSON.parse(line) as unknown) : JSON.parse(answer);
		return { status: reply.status, body: parsed };
	};
	/** What was refused because of a limit. */
	const overLimit = () => {
		let found: unknown;
		api.measures({
			addReading: ((_metrics: unknown, read: () => { readonly overLimit: unknown }) => {
				found = read().overLimit;
			}) as never,
		});
		return found;
	};
	return { access, api, asked, texts, post, published, direct, assigned, audited, log, overLimit };
}
