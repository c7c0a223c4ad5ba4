/**
 * Version of a layout in shared memory. Within a major version layouts only grow at the end, so that programs of different minor versions can
 * use the same bytes, as in a rolling restart. Every other change needs a new major version.
 */
interface LayoutVersion {
	/** 0 to 32,767. */
	readonly major: number;
	/** 0 to 65,535. */
	readonly minor: number;
}

/** Packs a version into an i32 word. */
export function packVersion({ major, minor }: LayoutVersion): number {
	return (major << 16) | minor;
}

/** Why a program with layout version `own` cannot use bytes of the given version; null if it can. */
export function versionProblem(packed: number, own: LayoutVersion): string | null {
	const [major, minor] = [packed >>> 16, packed & 0xffff];
	return major === own.major ? null : `has layout version ${major}.${minor}, and this program uses ${own.major}.x`;
}

/** How to fix it. */
export const versionFix = "these programs can't share a cluster: stop all its processes and start it again";
