import { waitFor } from "../wait.ts";

/** A client over HTTP streaming or server-sent events. Commands are sent in separate requests. */
export class StreamClient {
	readonly response: Response;
	/** Messages received so far, from a JSON stream or server-sent events. */
	readonly messages: unknown[] = [];
	/** The start of an incomplete message. */
	#rest = "";
	/** The stream has ended or was cut off. */
	isOver = false;
	/** The stream ended cleanly, as HTTP requires. */
	isWhole = false;
	readonly #abort: AbortController;

	private constructor(response: Response, abort: AbortController) {
		this.response = response;
		this.#abort = abort;
		void this.#read();
	}

	static async open(url: string, init: RequestInit = {}): Promise<StreamClient> {
		const abort = new AbortController();
		return new StreamClient(await fetch(url, { ...init, signal: abort.signal }), abort);
	}

	/** Waits until `count` messages have arrived in all. */
	async next(count: number): Promise<unknown[]> {
		await waitFor(() => this.messages.length >= count, { deadlineMs: 5000, everyMs: 2, what: `${count} messages` });
		return this.messages;
	}

	leave(): void {
		this.#abort.abort();
	}

	#take(text: string): void {
		const isEvents = this.response.headers.get("content-type") === "text/event-stream";
		const lines = (this.#rest + text).split(isEvents ? "\n\n" : "\n");
		this.#rest = lines.pop()!;
		for (const line of lines) this.messages.push(JSON.parse(isEvents ? line.trim().replace(/^data: /, "") : line));
	}

	async #read(): Promise<void> {
		const decoder = new TextDecoder();
		try {
			for await (const part of this.response.body!) this.#take(decoder.decode(part as Uint8Array, { stream: true }));
			this.isWhole = true;
		} catch {
			// Cut, or left.
		}
		this.isOver = true;
	}
}
