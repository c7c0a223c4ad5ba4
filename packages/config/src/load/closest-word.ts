/** Edits (insert, delete, replace, swap neighbours) that make `a` into `b`. */
function distance(a: string, b: string): number {
	const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, column) => column)];
	for (let i = 1; i <= a.length; i++) {
		rows[i] = [i];
		for (let j = 1; j <= b.length; j++) {
			const replaced = rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
			rows[i][j] = Math.min(rows[i - 1][j] + 1, rows[i][j - 1] + 1, replaced);
			if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) rows[i][j] = Math.min(rows[i][j], rows[i - 2][j - 2] + 1);
		}
	}
	return rows[a.length][b.length];
}

/** The candidate that was probably meant, or undefined when none is near (a third of its letters may be wrong, less than half of a short one). */
export function closestWord(word: string, candidates: readonly string[]): string | undefined {
	// A word longer than any candidate by more than that is none of them, and need not be compared.
	const comparable = candidates.filter((candidate) => Math.abs(candidate.length - word.length) <= candidate.length / 3 + 1);
	const ranked = comparable
		.map((candidate) => ({ candidate, edits: distance(word.toLowerCase(), candidate.toLowerCase()) }))
		.filter(({ candidate, edits }) => edits <= Math.max(1, Math.floor(candidate.length / 3)) && edits * 2 < candidate.length)
		.sort((a, b) => a.edits - b.edits);
	return ranked[0]?.candidate;
}
