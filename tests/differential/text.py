"""What a codec holds in its hands, as text without white space in values.

A frame is one of

    method CHANNEL NAME FIELD=VALUE ...        header CHANNEL CLASS WEIGHT BODY-SIZE FIELD=VALUE ...
    body CHANNEL S<hex>                        heartbeat CHANNEL
    protocol MAJOR MINOR REVISION

A value is written by its type in Python, with what tells its types apart on the wire where Python does:

    t0 t1           bool             S<hex>     a string (bytes in hex)
    n<number>       int              x<hex>     bytes that are no string
    l<number>       pika's long      T<number>  a time, in milliseconds since 1970
    f<hex>          float, 8 octets  V          None
    D<scale>:<int>  Decimal          A[v,v]     a list
                                     F{<hex of key>:v,<hex of key>:v}  a dict, in its order
"""

import calendar
import datetime
import decimal
import struct
import time

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)


def octets(text):
    return text.encode() if isinstance(text, str) else bytes(text)


def of_time(moment):
    if isinstance(moment, time.struct_time):
        return f'T{calendar.timegm(moment) * 1000}'
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.timezone.utc)
    return f'T{round((moment - EPOCH) / datetime.timedelta(milliseconds=1))}'


def of_decimal(number):
    sign, digits, exponent = number.as_tuple()
    value = int(''.join(map(str, digits)))
    return f'D{-exponent}:{-value if sign else value}'


class Values:
    """Writes values; which Python types stand for octets that are no string depends on the codec."""

    def __init__(self, no_string, long=None):
        self.no_string = no_string
        self.long = long

    def argument(self, value):
        """The value of an argument or a property, whose type the method tells."""
        if isinstance(value, bytes):
            return f'S{value.hex()}'
        return self.value(value)

    def value(self, value):
        """A value of a table or an array."""
        if value is None:
            return 'V'
        if isinstance(value, bool):
            return f't{int(value)}'
        if self.long is not None and isinstance(value, self.long):
            return f'l{int(value)}'
        if isinstance(value, int):
            return f'n{int(value)}'
        if isinstance(value, float):
            return 'f' + struct.pack('>d', value).hex()
        if isinstance(value, decimal.Decimal):
            return of_decimal(value)
        if isinstance(value, (datetime.datetime, time.struct_time)):
            return of_time(value)
        if isinstance(value, self.no_string):
            return f'x{value.hex()}'
        if isinstance(value, (str, bytes)):
            return f'S{octets(value).hex()}'
        if isinstance(value, list):
            return 'A[' + ','.join(map(self.value, value)) + ']'
        if isinstance(value, dict):
            pairs = (f'{octets(key).hex()}:{self.value(item)}' for key, item in value.items())
            return 'F{' + ','.join(pairs) + '}'
        raise TypeError(f'no text for {value!r}')

    def fields(self, pairs):
        """Arguments or properties, each with a space before it."""
        return ''.join(f' {name}={self.argument(value)}' for name, value in pairs)
