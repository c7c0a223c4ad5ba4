import type { Config } from "../options/options.ts";

/** A certificate and its key, read and checked. Plain data, so that it can be sent to another process; never to be logged. */
export interface Certificate {
	/** Its file, for messages and metrics. */
	readonly path: string;
	/** In PEM, the server's certificate first. */
	readonly chain: string;
	/** In PEM, not encrypted. */
	readonly key: string;
	/** For clients that ask for one of these, in lower case; `*.` stands for one label. */
	readonly serverNames: readonly string[];
	/** When it expires, in milliseconds since 1970. */
	readonly expiresMs: number;
	/** Two with the same fingerprint are the same certificate with the same key for the same names. */
	readonly fingerprint: string;
}

export type TlsConfig = Pick<Config, "tlsEnabled" | "tlsCert" | "tlsKey" | "tlsKeyPassphrase" | "tlsCertificates">;

/** Whether connections are encrypted. */
export function usesTls({ tlsEnabled, tlsCert }: Pick<Config, "tlsEnabled" | "tlsCert">): boolean {
	return tlsEnabled ?? tlsCert !== "";
}

/**
 * The certificate for a client that asks for this server name: by its whole name, then by a pattern, then the first.
 * @param certificates at least one. @param name null = it asks for none.
 */
export function certificateFor<C extends Pick<Certificate, "serverNames">>(certificates: readonly C[], name: string | null): C {
	const first = certificates[0]!;
	if (name === null) return first;
	const asked = name.toLowerCase();
	const dot = asked.indexOf(".");
	const pattern = dot < 0 ? null : `*${asked.slice(dot)}`;
	const named = (text: string) => certificates.find(({ serverNames }) => serverNames.includes(text));
	return named(asked) ?? (pattern === null ? undefined : named(pattern)) ?? first;
}
