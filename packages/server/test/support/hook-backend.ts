import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type Config, defaultConfig, type EnabledProxyOptions } from "@shardcast/config";

/** What a backend was asked. */
export interface Asked {
	readonly path: string;
	readonly body: Readonly<Record<string, unknown>>;
	readonly headers: IncomingHttpHeaders;
}

/** An application's backend, with an answer for each path. */
export class HookBackend {
	readonly asked: Asked[] = [];
	/** Requests whose client has gone before they were answered. */
	gone = 0;
	/** By path: the reply, JSON or as it is; a number = that status; a promise is waited for. */
	readonly replies = new Map<string, unknown>();
	readonly #server: Server;

	private constructor() {
		this.#server = createServer((request, response) => {
			let text = "";
			request.on("data", (part) => {
				text += part;
			});
			response.on("close", () => {
				if (!response.writableFinished) this.gone++;
			});
			request.on("end", async () => {
				const path = request.url!;
				this.asked.push({ path, body: JSON.parse(text) as Asked["body"], headers: request.headers });
				const reply = await this.replies.get(path);
				if (typeof reply === "number") response.writeHead(reply).end();
				else response.end(typeof reply === "string" ? reply : JSON.stringify(reply ?? {}));
			});
		});
	}

	static async start(): Promise<HookBackend> {
		const backend = new HookBackend();
		await new Promise<void>((resolve) => backend.#server.listen(0, "127.0.0.1", resolve));
		return backend;
	}

	/** The bodies of the requests to a path so far. */
	bodies(path: string): readonly Asked["body"][] {
		return this.asked.filter((each) => each.path === path).map(({ body }) => body);
	}

	/** Options with which it is asked at this path. */
	at(path: string, options: Partial<EnabledProxyOptions> = {}): EnabledProxyOptions {
		const { port } = this.#server.address() as AddressInfo;
		// Longer than the usual second: a busy machine must not fail a test.
		return { ...defaultConfig().connectProxy, enabled: true, endpoint: `http://127.0.0.1:${port}${path}`, timeoutMs: 20_000, ...options };
	}

	stop(): void {
		this.#server.close();
		this.#server.closeAllConnections();
	}
}

/** Options of channels without a namespace. */
export function channels(options: Partial<Config["channelWithoutNamespace"]>): Pick<Config, "channelWithoutNamespace"> {
	return { channelWithoutNamespace: { ...defaultConfig().channelWithoutNamespace, ...options } };
}
