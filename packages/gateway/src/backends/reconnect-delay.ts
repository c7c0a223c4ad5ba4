export interface ReconnectOptions {
	/** Before the first attempt. */
	readonly firstMs: number;
	/** The pause doubles up to here. */
	readonly mostMs: number;
	/** Part of the pause by which it may be longer or shorter, from 0 to 1, so that gateways do not dial in step. */
	readonly jitter: number;
}

export const reconnectDefaults: ReconnectOptions = { firstMs: 5000, mostMs: 30_000, jitter: 0.2 };

/**
 * Pause before a backend is dialled again.
 * @param failures in a row; 0 and 1 give the first pause.
 * @param random from 0 to 1.
 */
export function reconnectDelayMs({ firstMs, mostMs, jitter }: ReconnectOptions, failures: number, random: number): number {
	const full = Math.min(firstMs * 2 ** Math.min(Math.max(failures - 1, 0), 30), mostMs);
	return full * (1 + jitter * (2 * random - 1));
}
