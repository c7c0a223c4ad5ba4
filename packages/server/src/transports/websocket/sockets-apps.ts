import { type Certificate, certificateFor } from "@shardcast/config";
import type { TemplatedApp } from "./sockets-native.ts";
import { createTlsApp } from "./sockets-tls.ts";

/** An app of the library. */
interface LibraryApp {
	readonly app: TemplatedApp;
	/** Null without TLS. */
	readonly certificate: Certificate | null;
	/** Number of its connections. */
	open: number;
}

/** A WebSocket and its app. */
export interface OfApp {
	/** Sends to the other subscribers of its app. */
	publish(topic: string, message: Uint8Array, isBinary: boolean, compress?: boolean): boolean;
	/** Undefined if there is only one app. */
	app?: TemplatedApp;
}

/** Sets up an app before it gets connections. */
type SetUp = (served: LibraryApp) => void;

/** Most apps with an old certificate that still have clients; one more closes the oldest, and its clients reconnect. */
const formerMax = 32;

/**
 * The library's apps of a shard. Without TLS there is one. With TLS there is one per certificate, since the library cannot replace an app's certificate:
 * a new certificate gets a new app for new connections, and the old app stays until its clients are gone.
 *
 * Owned by the shard's loop. A publish costs a look-up in each app that has connections.
 */
export class LibraryApps {
	readonly #setUps = new Map<string, SetUp>();
	/** In order of their certificates. */
	#current: LibraryApp[];
	#former: LibraryApp[] = [];
	/** Messages of at least so many bytes are compressed for clients that can read it. */
	readonly #compressFrom: number;

	/**
	 * @param plain the app without TLS, used while there are no certificates.
	 * @param compressFrom messages of at least so many bytes are compressed for clients that can read it.
	 */
	constructor(plain: TemplatedApp | null, certificates: readonly Certificate[], compressFrom: number) {
		this.#compressFrom = compressFrom;
		this.#current =
			plain === null
				? certificates.map((certificate) => ({ app: createTlsApp(certificate), certificate, open: 0 }))
				: [{ app: plain, certificate: null, open: 0 }];
	}

	get #all(): LibraryApp[] {
		return this.#former.length === 0 ? this.#current : [...this.#former, ...this.#current];
	}

	/** The first of the apps that get new connections. */
	get first(): TemplatedApp {
		return this.#current[0]!.app;
	}

	/** Sets up all apps, including later ones, in order of the keys' first use. A later call with the same key replaces an earlier one. */
	configure(key: string, setUp: SetUp): void {
		this.#setUps.set(key, setUp);
		for (const served of this.#all) setUp(served);
	}

	/** @param serverName requested by the client; null = none. */
	for(serverName: string | null): TemplatedApp {
		if (this.#current.length === 1) return this.first;
		const certificate = certificateFor(
			this.#current.map((served) => served.certificate!),
			serverName,
		);
		return this.#current.find((served) => served.certificate === certificate)!.app;
	}

	/** Sets the certificates for new connections. @throws Error when the library does not accept one. Then nothing has changed. */
	use(certificates: readonly Certificate[]): void {
		const added: LibraryApp[] = [];
		const next = certificates.map((certificate) => {
			const same = this.#current.find((served) => served.certificate?.fingerprint === certificate.fingerprint);
			if (same !== undefined) return same;
			const served = { app: createTlsApp(certificate), certificate, open: 0 };
			added.push(served);
			return served;
		});
		for (const served of added) for (const setUp of this.#setUps.values()) setUp(served);
		this.#former.push(...this.#current.filter((served) => !next.includes(served)));
		this.#current = next;
		this.tidy(formerMax);
	}

	/** Closes old apps without connections. @param keptMax most other old apps to keep. Do not call in a callback of the library. */
	tidy(keptMax = formerMax): void {
		if (this.#former.length === 0) return;
		const busy = this.#former.filter(({ open }) => open > 0);
		const kept = busy.slice(Math.max(0, busy.length - keptMax));
		const closed = this.#former.filter((served) => !kept.includes(served));
		this.#former = kept;
		for (const { app } of closed) app.close();
	}

	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean {
		const compress = message.length >= this.#compressFrom;
		if (this.#former.length === 0 && this.#current.length === 1) return this.first.publish(topic, message, isBinary, compress);
		let isHeard = false;
		for (const { app, open } of this.#all) if (open > 0 && app.publish(topic, message, isBinary, compress)) isHeard = true;
		return isHeard;
	}

	/** Sends to all subscribers except the sender, whose app is in `app` unless there is only one. */
	publishToOthers(sender: OfApp, topic: string, message: Uint8Array, isBinary: boolean): void {
		const compress = message.length >= this.#compressFrom;
		sender.publish(topic, message, isBinary, compress);
		if (sender.app === undefined) return;
		for (const { app, open } of this.#all) if (open > 0 && app !== sender.app) app.publish(topic, message, isBinary, compress);
	}

	/** Closes all open connections. */
	close(): void {
		for (const { app } of this.#all) app.close();
	}
}
