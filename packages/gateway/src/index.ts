export {
	ackedClass,
	classOf,
	encodeFrameHeader,
	encodeMessageHeader,
	isUrgent,
	knownClass,
	mayDrop,
	messageProblem,
	readU32,
	writeU32,
} from "./frames/frame-codec.ts";
export { FrameClass, FrameLayout, frameClassCount } from "./frames/frame-descriptor.ts";
