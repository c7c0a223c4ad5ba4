const secondsForm = /^\d{1,9}$/;

/** The pause that a reply asks for with its header `Retry-After`, in seconds or as a date; 0 = for none, or in another form. */
export function retryAfterMs(header: string | undefined, nowMs = Date.now()): number {
	if (header === undefined) return 0;
	if (secondsForm.test(header)) return Number(header) * 1000;
	const atMs = Date.parse(header);
	return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - nowMs);
}
