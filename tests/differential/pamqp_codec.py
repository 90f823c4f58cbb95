"""pamqp as peer.py wants a codec."""

import logging
from importlib import metadata

from pamqp import base, body, commands, constants, exceptions, frame, header, heartbeat

from random_values import RandomValues
from text import Values

PROPERTIES = commands.Basic.Properties


# It warns of every key that it cuts short.
logging.getLogger('pamqp').setLevel(logging.ERROR)


class PamqpValues(RandomValues):
    """What pamqp can write: strings are text, other octets are a bytearray."""

    def value_kinds(self):
        return super().value_kinds() + [
            self.floating,
            self.struct_time,
            lambda: bytearray(self.octets()),
        ]

    def longlong(self):
        return self.bits(64, True)


def unchecked(kind):
    """The same class without its checks, so that what they refuse can be written too."""
    free = type(kind.__name__, (kind,), {'__slots__': (), 'validate': lambda _: None})
    # For Python, it adds no slots; for pamqp, they are the list of its arguments.
    free.__slots__ = kind.__slots__
    return free


UNCHECKED = {kind: unchecked(kind) for kind in commands.INDEX_MAPPING.values()}


def method(name):
    """The class of a method, by its name: Basic.Publish."""
    group, own = name.split('.')
    return getattr(getattr(commands, group), own)


class PamqpCodec:
    """A frame is a pair: the channel, and pamqp's object. Methods are without their checks."""

    name = 'pamqp'
    version = metadata.version('pamqp')
    values = Values(no_string=bytearray)

    def unmarshal(self, octets):
        consumed, channel, content = frame.unmarshal(octets)
        if consumed != len(octets):
            raise RuntimeError(f'pamqp took {consumed} of {len(octets)} octets')
        if isinstance(content, base.Frame):
            content.__class__ = UNCHECKED[type(content)]
        return channel, content

    def marshal(self, pair):
        channel, content = pair
        return frame.marshal(content, channel)

    def check(self, pair):
        _, content = pair
        if isinstance(content, base.Frame):
            type(content).__mro__[1].validate(content)
        elif isinstance(content, header.ContentHeader):
            content.properties.validate()

    def seen(self, pair):
        channel, content = pair
        if isinstance(content, base.Frame):
            return f'method {channel} {content.name}{self.values.fields(content)}'
        if isinstance(content, header.ContentHeader):
            there = ((name, value) for name, value in content.properties if value is not None)
            head = f'header {channel} {content.class_id} {content.weight} {content.body_size}'
            return head + self.values.fields(there)
        if isinstance(content, body.ContentBody):
            return f'body {channel} S{content.value.hex()}'
        if isinstance(content, heartbeat.Heartbeat):
            return f'heartbeat {channel}'
        return f'protocol {content.major_version} {content.minor_version} {content.revision}'

    def random(self, source, kind, *name_and_types):
        *name, types = name_and_types
        values = PamqpValues(source)
        channel = values.channel()
        if kind == 'method':
            content = UNCHECKED[method(*name)]()
            for attribute, wire_type in zip(content.attributes(), types, strict=True):
                if wire_type != '-':
                    setattr(content, attribute, values.of_type(wire_type))
        elif kind == 'header':
            properties = PROPERTIES()
            for attribute, wire_type in zip(properties.attributes(), types, strict=True):
                if values.one_in(2):
                    setattr(properties, attribute, values.of_type(wire_type))
            content = header.ContentHeader(0, values.bits(64, False), properties)
            content.class_id = commands.Basic.frame_id
        elif kind == 'body':
            content = body.ContentBody(values.octets())
        elif kind == 'heartbeat':
            channel, content = 0, heartbeat.Heartbeat()
        else:
            channel, content = 0, header.ProtocolHeader(*(values.bits(8, False) for _ in range(3)))
        return channel, content

    def tables(self):
        for index, kind in sorted(commands.INDEX_MAPPING.items()):
            defaults = [self.values.argument(value) for _, value in kind()]
            # Not `kind.frame_id` alone: a method's number and its class's have to agree with its index.
            group = getattr(commands, kind.name.split('.')[0])
            yield [
                'method', kind.name, f'{index:#010x}', f'{kind.index:#010x}',
                str(group.frame_id), str(kind.frame_id),
                str(kind.synchronous), ','.join(kind.valid_responses),
                *map(':'.join, zip(kind.attributes(),
                                   map(kind.amqp_type, kind.attributes()), defaults)),
            ]
        yield [
            'properties', PROPERTIES.name, str(PROPERTIES.frame_id),
            *(f'{name}:{PROPERTIES.amqp_type(name)}:{PROPERTIES.flags[name]}:'
              f'{self.values.argument(value)}' for name, value in PROPERTIES()),
        ]
        for code, kind in sorted(exceptions.CLASS_MAPPING.items()):
            soft = issubclass(kind, exceptions.AMQPSoftError)
            hard = issubclass(kind, exceptions.AMQPHardError)
            yield ['reply-code', str(code), kind.name, 'soft' if soft else 'hard' if hard else '?']
        for name in ['FRAME_METHOD', 'FRAME_HEADER', 'FRAME_BODY', 'FRAME_HEARTBEAT',
                     'FRAME_MIN_SIZE', 'FRAME_END', 'REPLY_SUCCESS']:
            yield ['constant', name, str(getattr(constants, name))]
        for name, wire_type in sorted(constants.DOMAINS.items()):
            yield ['domain', name, wire_type]
