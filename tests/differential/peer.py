"""An independent AMQP codec as a line-based service for the differential test.

    python peer.py pamqp|pika

Requests are lines on stdin, answers are lines on stdout, fields are separated by tabs. What a codec
sees in a frame is written as text.py describes.

    hello             -> <codec> <version>
    read FRAME        -> read  SEEN  valid|invalid: WHY  FRAME|failed: WHY
                         unread  WHY
                         (what the codec sees in the frame, whether its own checks like that, and
                         the frame that it makes of it)
    make KIND SEED    -> made  FRAME  SEEN  valid|invalid: WHY
                         (a frame with random contents, and what the codec was given to write; KIND is
                         body, heartbeat, protocol, "header TYPES" or "method NAME TYPES", where TYPES
                         are those of the properties or arguments with commas between, "-" for one that
                         is left as it is by default, and "none" if there are none)
    tables            -> any number of lines, then: end
                         (what the codec knows about methods, properties and constants)

FRAME is in hex, WHY is the name of an exception and its message. The service ends with its stdin.
"""

import random
import sys
import traceback


def why(error):
    """An exception on one line."""
    return f'{type(error).__name__}: {error}'.encode('unicode_escape').decode().replace('\t', ' ')


def checked(codec, frame):
    """Whether the codec's own checks like a frame that it holds."""
    try:
        codec.check(frame)
    except ValueError as error:
        return f'invalid: {error}'
    return 'valid'


def read(codec, octets):
    try:
        frame = codec.unmarshal(octets)
    except Exception as error:  # whatever a codec leaks is an answer too
        return ['unread', why(error)]
    seen, valid = codec.seen(frame), checked(codec, frame)
    try:
        written = codec.marshal(frame).hex()
    except Exception as error:
        written = f'failed: {why(error)}'
    return ['read', seen, valid, written]


def make(codec, kind, arguments, seed):
    *name, types = arguments or ['none']
    types = [] if types == 'none' else types.split(',')
    frame = codec.random(random.Random(seed), kind, *name, types)
    return ['made', codec.marshal(frame).hex(), codec.seen(frame), checked(codec, frame)]


def answer(codec, line):
    """The lines that answer a request."""
    command, *rest = line.split()
    if command == 'hello':
        return [f'{codec.name} {codec.version}']
    if command == 'read':
        return ['\t'.join(read(codec, bytes.fromhex(rest[0])))]
    if command == 'make':
        kind, *arguments, seed = rest
        return ['\t'.join(make(codec, kind, arguments, int(seed)))]
    if command == 'tables':
        return ['\t'.join(row) for row in codec.tables()] + ['end']
    raise ValueError(f'unknown request {line!r}')


def main():
    if sys.argv[1:] == ['pamqp']:
        from pamqp_codec import PamqpCodec as Codec
    elif sys.argv[1:] == ['pika']:
        from pika_codec import PikaCodec as Codec
    else:
        sys.exit(__doc__)
    codec = Codec()
    for line in sys.stdin:
        try:
            lines = answer(codec, line)
        except Exception:
            traceback.print_exc()
            sys.exit(f'in answer to: {line}')
        sys.stdout.write(''.join(f'{line}\n' for line in lines))
        sys.stdout.flush()


main()
