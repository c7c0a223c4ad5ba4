/**
 * The vertical axis of a chart, which begins at 0. `least` is the smallest step between two ticks that the axis's labels still
 * tell apart: 1 where they are whole numbers. Without data, or with nothing but zeros, the axis is as if `5 × least` were shown.
 */

const ticksMax = 5;
/** Above the highest value, so that a line does not lie on the frame. */
const headroom = 1.15;

/** @param high the highest value shown, null when there is none. */
export function axisTop(high, least) {
	return Math.max(Number.isFinite(high) ? high * headroom : 0, least * ticksMax);
}

/** At most six values from 0 to `top`, 1, 2 or 5 × a power of ten apart, and never less than `least`. */
export function axisTicks(top, least) {
	const wanted = Math.max(top / ticksMax, least);
	const power = 10 ** Math.floor(Math.log10(wanted));
	// A rounding error in the logarithm must not make the step larger than needed.
	const step = [1, 2, 5, 10].find((factor) => factor * power >= wanted * 0.999) * power;
	return Array.from({ length: Math.floor(top / step + 0.001) + 1 }, (_, index) => index * step);
}
